import * as z from 'zod';
import { limits } from '../limits.ts';
import { count } from './shared.ts';

/** How finely a node's history is kept: for an hour, a day, a month. */
export const historyResolution = z.enum(['5s', '1m', '5m']);
export type HistoryResolution = z.infer<typeof historyResolution>;

/**
 * What is kept of each sample; of a minute or more the mean, and beside it (`...Most`) the highest. `isThrottled` is 1 or 0,
 * and 1 when any of the samples was. The others are those of `metricSample`.
 */
export const historyMetric = z.enum([
  'cpuShare',
  'cpuShareMost',
  'cpuBackgroundShare',
  'cpuBackgroundShareMost',
  'memoryAvailableBytes',
  'memoryMeshBytes',
  'networkReceivedBytesPerSecond',
  'networkSentBytesPerSecond',
  'diskFreeBytes',
  'diskTotalBytes',
  'temperatureCelsius',
  'isThrottled',
]);
export type HistoryMetric = z.infer<typeof historyMetric>;

/** Which part of a history. */
export const historyAsk = z.object({
  resolution: historyResolution,
  /** Not older than this; everything unless said. */
  sinceMs: count.optional(),
  /** Only from this position on: the `next` of the page before. */
  from: count.optional(),
  /** All unless said. */
  metrics: z.array(historyMetric).max(historyMetric.options.length).optional(),
});
export type HistoryAsk = z.infer<typeof historyAsk>;

const most = limits.historySamplesPerAnswer;
/** A part of a history, the oldest first; lists of equal length. */
export const historyPage = z.object({
  /**
   * How long before the answer each sample was taken, never growing. Within one run of the runtime by a clock that does not
   * jump; how far two runs lie apart, by the wall clock of the node, the only one that goes on between them.
   */
  agesMs: z.array(count).max(most),
  /** The run of the runtime that each is of. */
  runs: z.array(count).max(most),
  /** Null where the machine did not tell. */
  values: z.partialRecord(historyMetric, z.array(z.number().nullable()).max(most)),
  /** How far apart samples are. */
  intervalMs: z.number().min(0),
  /** There is more: ask for it with this as `from`. */
  next: count.optional(),
  /** What the history takes on the disk of the node at most, and what has been written for it since its files were made. */
  diskBytesMost: count,
  writtenBytes: count,
});
export type HistoryPage = z.infer<typeof historyPage>;
