import { fitByConditionalSquares } from '../arima/conditional-squares.ts';
import { arima } from '../arima/forecaster.ts';
import { seasonalSmoothing } from '../smoothing/seasonal.ts';
import { seasonalClimatology } from '../smoothing/seasonal-climatology.ts';
import type { Member } from './foresight.ts';

/** Members besides the engine's own bases and pooled regressions: a new one is a line here. */
export const standardMembers: readonly Member[] = [
  { model: 'seasonal-smoothing', factory: seasonalSmoothing(), followsSeason: true },
  { model: 'seasonal-climatology', factory: seasonalClimatology() },
];

/** ARIMA, fitted in a few tenths of a millisecond by conditional squares: where it is the best, it takes part. */
export function arimaChallenger(options: Pick<Member, 'kinds' | 'seriesMost'>): Member {
  return { model: 'arima', factory: arima({ fit: fitByConditionalSquares }), challenges: true, ...options };
}
