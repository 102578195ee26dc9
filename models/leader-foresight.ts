import { createForesight, type Foresight } from './engine/foresight.ts';
import { arimaChallenger, standardMembers } from './engine/members.ts';

export interface LeaderForesightOptions {
  /** Farthest step ahead. */
  readonly steps: number;
  /** Kinds whose values are shares, as CPU and memory: ARIMA challenges the others there, and a model may be learned for them. */
  readonly learnedKinds: readonly string[];
  /** Of each of these kinds, how many series ARIMA is tried on: the first that are opened. */
  readonly arimaSeriesMost: number;
}

/** The engine as a leader has it: what it is made of is said here, for leaders, backtests and benches alike. */
export function createLeaderForesight({ steps, learnedKinds, arimaSeriesMost }: LeaderForesightOptions): Foresight {
  const challenger = arimaChallenger({ kinds: learnedKinds, seriesMost: arimaSeriesMost });
  return createForesight({ steps, members: [...standardMembers, challenger], learnedKinds });
}
