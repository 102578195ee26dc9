import type { LogRow, QueryAnswer } from '../contract/index.ts';
import type { BlobClient } from '../data/blob-client.ts';
import { mapAhead } from '../data/windowed.ts';
import type { Queries } from './queries.ts';

/** What one attempt that has ended has logged: the last of it, when it was much. */
export interface StoredLog extends Pick<LogRow, 'task' | 'node' | 'attempt' | 'failed'> {
  readonly lines: readonly string[];
}

/** Read ahead of whoever is reading. */
const aheadMost = 8;

/** Page after page, until there is no more. */
export async function* readLogs(
  queries: Queries,
  blobs: BlobClient,
  which: { readonly job: string; readonly task?: string },
): AsyncGenerator<StoredLog, void, undefined> {
  const seen = new Set<string>();
  for (let from: number | undefined = 0; from !== undefined; ) {
    const page: QueryAnswer & { query: 'logs' } = await queries.ask({ query: 'logs', ...which, from });
    // What ends meanwhile moves the rows behind it on.
    const news = page.logs.filter(({ attempt }) => !seen.has(attempt));
    for (const { attempt } of news) seen.add(attempt);
    yield* mapAhead(news, aheadMost, async ({ log, ...head }) => {
      const text = new TextDecoder().decode(await blobs.get(log));
      return { ...head, lines: text.split('\n').slice(0, -1) };
    });
    // A leader that names the same page again would be asked for ever.
    from = page.next !== undefined && page.next > from ? page.next : undefined;
  }
}
