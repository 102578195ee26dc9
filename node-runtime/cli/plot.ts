import { durationText } from './text.ts';

const blocks = ' ▁▂▃▄▅▆▇█';
const eighths = 8;

/** One value and how long ago it was. */
export interface Dot {
  readonly ageMs: number;
  readonly value: number;
}

/**
 * The mean of each of `columns` equal spans of the time from `spanMs` ago to now; one finer than `intervalMs` shows the sample
 * that it lies in. Undefined where there is nothing.
 */
export function columnsOf(
  dots: readonly Dot[],
  spanMs: number,
  columns: number,
  intervalMs: number,
): (number | undefined)[] {
  const sums = Array.from({ length: columns }, () => ({ sum: 0, count: 0 }));
  for (const { ageMs, value } of dots) {
    if (ageMs > spanMs) continue;
    const column = sums[Math.min(columns - 1, Math.floor(((spanMs - ageMs) / spanMs) * columns))]!;
    column.sum += value;
    column.count += 1;
  }
  return sums.map(({ sum, count }, column) => {
    if (count > 0) return sum / count;
    const middleMs = spanMs * (1 - (column + 0.5) / columns);
    // The times between two samples are never quite equal.
    return dots.find(({ ageMs }) => ageMs <= middleMs && middleMs - ageMs < 1.5 * intervalMs)?.value;
  });
}

/** Bars of block characters, `rows` high, the first line the top. What is known is at least a thin line; a gap is empty. */
export function barsOf(values: readonly (number | undefined)[], top: number, rows: number): string[] {
  const heights = values.map((value) => {
    if (value === undefined) return 0;
    const height = top <= 0 ? 0 : Math.round((Math.min(value, top) / top) * rows * eighths);
    return Math.max(1, height);
  });
  return Array.from({ length: rows }, (_, row) => {
    const below = (rows - 1 - row) * eighths;
    return heights
      .map((height) => blocks[Math.min(eighths, Math.max(0, height - below))])
      .join('')
      .trimEnd();
  });
}

/** A line with marks at its quarters, and a line that says how long ago each is, as far as there is room. */
export function axisOf(spanMs: number, columns: number): [line: string, labels: string] {
  const marks = [0, 1, 2, 3].map((quarter) => Math.floor((quarter * columns) / 4));
  const line = Array.from({ length: columns }, (_, column) => (marks.includes(column) ? '┴' : '─')).join('');
  const now = ' now';
  let labels = '';
  for (const [quarter, column] of marks.entries()) {
    const label = `-${durationText(spanMs * (1 - quarter / 4))}`;
    const from = labels === '' ? 0 : labels.length + 1;
    if (column >= from && column + label.length + now.length <= columns) labels = labels.padEnd(column) + label;
  }
  return [line, labels.padEnd(columns - now.length) + now];
}
