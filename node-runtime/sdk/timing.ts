/** How patient the client is. Tests set smaller ones. */
export interface Timing {
  /** A spec (and a cancellation) is published again this often until the mesh has answered. */
  readonly resubmitMs: number;
  /** When nothing was heard of a job for this long, its state is asked for. */
  readonly quietMs: number;
  /** A question is asked again this often, and given up after `queryTimeoutMs`. */
  readonly askAgainMs: number;
  readonly queryTimeoutMs: number;
  /** The first wait before connecting again; it doubles up to `backoffMostMs`. Half of each wait is random. */
  readonly backoffMs: number;
  readonly backoffMostMs: number;
  readonly connectTimeoutMs: number;
}

export const defaultTiming: Timing = {
  resubmitMs: 3_000,
  quietMs: 15_000,
  askAgainMs: 2_000,
  queryTimeoutMs: 20_000, // an election on slow links takes up to 15
  backoffMs: 250,
  backoffMostMs: 10_000,
  connectTimeoutMs: 10_000,
};

/** Half of it fixed, half random, so that clients that lost one broker do not come back in one moment. */
export function backoffDelayMs(attempt: number, timing: Timing, random: () => number): number {
  const most = Math.min(timing.backoffMostMs, timing.backoffMs * 2 ** attempt);
  return most / 2 + (most / 2) * random();
}
