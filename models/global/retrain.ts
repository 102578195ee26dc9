/** What is known of a global model in use. Losses are mean pinball losses over the same forecasts, of all series. */
export interface GlobalModelRecord {
  /** Milliseconds since its weights were trained; undefined before they ever were. */
  readonly trainedAgoMs: number | undefined;
  /** Milliseconds since a training last began, whatever came of it; undefined when none did. */
  readonly triedAgoMs: number | undefined;
  /** Windows that could be learned from now, and when it was trained. */
  readonly windows: number;
  readonly windowsWhenTrained: number;
  /** How many of its forecasts have been compared with what came. */
  readonly scored: number;
  readonly loss: number;
  /** Of the best model without it. */
  readonly challengerLoss: number;
  /** Its loss over its challenger's soon after it was trained. */
  readonly ratioWhenTrained: number;
}

export interface RetrainPolicy {
  /** Training again comes by itself after so long. */
  readonly everyMs: number;
  /** Never sooner than that after the last try: it takes minutes of a core. */
  readonly pauseMs: number;
  /** Fewer windows teach too little. */
  readonly windowsLeast: number;
  /** So many times the windows of the last training are another world. */
  readonly growth: number;
  /** Forecasts to have been compared before a score counts. */
  readonly scoredLeast: number;
  /** By how much its loss over its challenger's may rise. */
  readonly ratioRise: number;
}

const hourMs = 3_600_000;
export const retrainPolicy: RetrainPolicy = {
  everyMs: 24 * hourMs,
  pauseMs: hourMs,
  windowsLeast: 1_000,
  growth: 4,
  scoredLeast: 200,
  ratioRise: 1.1,
};

export type RetrainReason = 'never-trained' | 'schedule' | 'more-to-learn-from' | 'score-fell';

/** Why the model is to be trained now, or undefined when it is not. */
export function shouldRetrain(
  record: GlobalModelRecord,
  policy: RetrainPolicy = retrainPolicy,
): RetrainReason | undefined {
  const { trainedAgoMs, triedAgoMs, windows, windowsWhenTrained, scored, loss, challengerLoss, ratioWhenTrained } =
    record;
  if (windows < policy.windowsLeast) return undefined;
  if (triedAgoMs !== undefined && triedAgoMs < policy.pauseMs) return undefined;
  if (trainedAgoMs === undefined) return 'never-trained';
  if (trainedAgoMs >= policy.everyMs) return 'schedule';
  if (windows >= policy.growth * windowsWhenTrained) return 'more-to-learn-from';
  const fell = scored >= policy.scoredLeast && loss > policy.ratioRise * ratioWhenTrained * challengerLoss;
  return fell ? 'score-fell' : undefined;
}

/** Whether its forecasts may be used: once enough have been compared, and only where it beats its challenger. */
export function isWorthUsing(
  { scored, loss, challengerLoss }: Pick<GlobalModelRecord, 'scored' | 'loss' | 'challengerLoss'>,
  { scoredLeast }: Pick<RetrainPolicy, 'scoredLeast'> = retrainPolicy,
): boolean {
  return scored >= scoredLeast && loss < challengerLoss;
}
