/** What is asked of access logs in the combined format of Apache and nginx. Sums are integers, so that any cut gives the same. */

export interface PathCounts {
  requests: number;
  errors: number;
  bytes: number;
}

export interface Summary {
  lines: number;
  unreadable: number;
  byHour: number[];
  byPath: Record<string, PathCounts>;
  /** Requests that failed, by client: who tries too much. */
  refused: Record<string, number>;
}

const line = /^(\S+) \S+ \S+ \[\d+\/\w+\/\d+:(\d\d):[^\]]*\] "(?:\S+) (\S+)[^"]*" (\d{3}) (\d+|-)/;

export function emptySummary(): Summary {
  return { lines: 0, unreadable: 0, byHour: new Array<number>(24).fill(0), byPath: {}, refused: {} };
}

export function addLine(summary: Summary, text: string): void {
  summary.lines += 1;
  const [, client, hour, target, status, bytes] = line.exec(text) ?? [];
  if (client === undefined || Number(hour) > 23) {
    summary.unreadable += 1;
    return;
  }
  summary.byHour[Number(hour)]! += 1;
  const path = target!.split('?')[0]!;
  const counts = Object.hasOwn(summary.byPath, path) ? summary.byPath[path]! : { requests: 0, errors: 0, bytes: 0 };
  counts.requests += 1;
  counts.bytes += bytes === '-' ? 0 : Number(bytes);
  if (Number(status) >= 500) counts.errors += 1;
  Object.defineProperty(summary.byPath, path, { value: counts, enumerable: true, configurable: true, writable: true });
  if (status === '401' || status === '403') summary.refused[client] = (summary.refused[client] ?? 0) + 1;
}

export function addSummary(sum: Summary, part: Summary): void {
  sum.lines += part.lines;
  sum.unreadable += part.unreadable;
  for (const [hour, count] of part.byHour.entries()) sum.byHour[hour]! += count;
  for (const [path, { requests, errors, bytes }] of Object.entries(part.byPath)) {
    const counts = Object.hasOwn(sum.byPath, path) ? sum.byPath[path]! : { requests: 0, errors: 0, bytes: 0 };
    counts.requests += requests;
    counts.errors += errors;
    counts.bytes += bytes;
    Object.defineProperty(sum.byPath, path, { value: counts, enumerable: true, configurable: true, writable: true });
  }
  for (const [client, count] of Object.entries(part.refused)) sum.refused[client] = (sum.refused[client] ?? 0) + count;
}

/** The report for a person: a few of each, the most first. */
export function reportOf({ lines, unreadable, byHour, byPath, refused }: Summary, most = 10) {
  const top = <T>(entries: [string, T][], weight: (value: T) => number) =>
    entries.sort(([a, x], [b, y]) => weight(y) - weight(x) || (a < b ? -1 : 1)).slice(0, most);
  return {
    lines,
    unreadable,
    busiestHour: byHour.indexOf(Math.max(...byHour)),
    paths: top(Object.entries(byPath), ({ requests }) => requests).map(([path, counts]) => ({ path, ...counts })),
    refused: top(Object.entries(refused), (count) => count).map(([client, count]) => ({ client, count })),
  };
}
