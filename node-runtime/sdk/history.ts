import type { HistoryAsk, HistoryMetric, HistoryPage } from '../contract/index.ts';
import type { Queries } from './queries.ts';

export type HistoryOptions = Pick<HistoryAsk, 'resolution' | 'sinceMs' | 'metrics'>;

/** What the machine did not tell is left out. `isThrottled` is 1 or 0. */
export type HistorySample = {
  /** How long before now the sample was taken. */
  readonly ageMs: number;
  /** Which run of the node's runtime it is of. */
  readonly run: number;
} & { readonly [metric in HistoryMetric]?: number };

export interface History extends Pick<HistoryPage, 'intervalMs' | 'diskBytesMost' | 'writtenBytes'> {
  readonly samples: readonly HistorySample[];
}

/** Page after page, until there is no more. */
export async function readHistory(queries: Queries, node: string, options: HistoryOptions): Promise<History> {
  const pages: { readonly page: HistoryPage; readonly atMs: number }[] = [];
  for (let from: number | undefined = 0; from !== undefined; ) {
    const { page }: { page: HistoryPage } = await queries.ask({ query: 'history', node, ...options, from });
    pages.push({ page, atMs: performance.now() });
    // A node that names the same page again would be asked for ever.
    from = page.next !== undefined && page.next > from ? page.next : undefined;
  }
  const { page: last, atMs: lastMs } = pages.at(-1)!;
  const { intervalMs, diskBytesMost, writtenBytes } = last;
  // Ages are those of the moment of each answer: all are made ages of the last one.
  const samples = pages.flatMap(({ page, atMs }) => samplesOf(page, Math.round(lastMs - atMs)));
  return { samples, intervalMs, diskBytesMost, writtenBytes };
}

function samplesOf({ agesMs, runs, values }: HistoryPage, olderMs: number): HistorySample[] {
  return agesMs.map((ageMs, index) => {
    const known = Object.entries(values).flatMap(([metric, list]) => {
      const value = list?.[index] ?? undefined;
      return value === undefined ? [] : [[metric, value] as const];
    });
    return { ageMs: ageMs + olderMs, run: runs[index] ?? 0, ...Object.fromEntries(known) };
  });
}
