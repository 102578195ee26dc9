import { arima } from './arima/forecaster.ts';
import type { FitArima } from './arima/model.ts';
import { climatology } from './baselines/climatology.ts';
import { movingAverage } from './baselines/moving-average.ts';
import { persistence } from './baselines/persistence.ts';
import { seasonalNaive } from './baselines/seasonal-naive.ts';
import { dayMs } from './constants.ts';
import type { ForecasterFactory } from './forecaster.ts';
import { lastValue } from './last-value.ts';
import { createLeaderForesight } from './leader-foresight.ts';
import { dampedSmoothing } from './smoothing/damped.ts';
import { seasonalSmoothing } from './smoothing/seasonal.ts';
import { seasonalClimatology } from './smoothing/seasonal-climatology.ts';
import { simpleSmoothing } from './smoothing/simple.ts';

export interface ForecastersOptions {
  readonly fit: FitArima;
  /** Steps ahead for which those that choose between models judge them. */
  readonly horizon: number;
}

/** Values in a season of `seasonal-naive`: a day of them. It needs two seasons. */
export function naiveSeasonOf(intervalMs: number): number {
  return Math.max(2, Math.round(dayMs / intervalMs));
}

/** Every model that forecasts a series by itself, by its name; the plainest first. A new one is added here. */
export function forecastersBy({ fit, horizon }: ForecastersOptions): ReadonlyMap<string, ForecasterFactory> {
  return new Map<string, ForecasterFactory>([
    ['last-value', lastValue],
    ['persistence', persistence],
    ['moving-average', movingAverage()],
    ['climatology', climatology],
    ['seasonal-naive', (series) => seasonalNaive(naiveSeasonOf(series.intervalMs))(series)],
    ['simple-smoothing', simpleSmoothing],
    ['damped-smoothing', dampedSmoothing],
    ['seasonal-climatology', seasonalClimatology()],
    ['seasonal-smoothing', seasonalSmoothing({ horizon })],
    ['arima', arima({ fit })],
    ['engine', engineAlone(horizon)],
  ]);
}

/**
 * The whole engine on one series, as a leader has it on one of many: what it learns on many, it learns on this one alone, whenever that is due. A range with
 * two ends is to it a share, as CPU and memory are; one without an upper end a network.
 */
const engineAlone =
  (steps: number): ForecasterFactory =>
  (series) => {
    const kind = 'alone';
    const learnedKinds = Number.isFinite(series.range.high) ? [kind] : [];
    const foresight = createLeaderForesight({ steps, learnedKinds, arimaSeriesMost: 1 });
    const forecaster = foresight.open({ key: kind, kind, ...series });
    return {
      model: 'engine',
      observe(value) {
        forecaster.observe(value);
        if (foresight.learningDue) for (const _ of foresight.learn());
      },
      forecast: (ahead) => forecaster.forecast(ahead),
    };
  };
