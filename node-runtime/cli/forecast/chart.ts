import { axisOf, barsOf, columnsOf } from '../plot.ts';
import { durationText } from '../text.ts';
import type { SeriesView, Step } from './view.ts';

/** Wider only where labels need it. */
const labelColumnsLeast = 26;
const chartRows = 4;
/** What there is with nine in ten, as often as not, and with one in ten. */
const shades = ['█', '▓', '░'] as const;
export const legend = '█ nine times in ten   ▓ as often as not   ░ once in ten';
export const scoreLegend = 'scored: mean pinball loss over the recent past, the lower the better';

/** A chart of what was and what is expected, for a terminal: the present is where the bar stands. */
export function chartOf(view: SeriesView, pastMs: number, intervalMs: number, terminalColumns: number): string[] {
  const { top, past, future, stepMs } = view;
  const futureMs = (future.at(-1)?.fromMs ?? 0) + stepMs;
  const futureText = `in ${durationText(futureMs)}`;
  const labels = labelsOf(view, futureText);
  const widths = labels.map(([left, right]) => left.length + (right === '' ? 0 : 1 + right.length));
  const labelColumns = Math.max(labelColumnsLeast, ...widths);
  const columns = Math.min(120, Math.max(24, terminalColumns - labelColumns - 4));
  const futureColumns = Math.max(8, Math.round((columns * futureMs) / (pastMs + futureMs)));
  const pastColumns = columns - futureColumns;
  const bars = barsOf(columnsOf(past, pastMs, pastColumns, intervalMs), top, chartRows);
  const lines = bars.map((bar, row) => {
    const [left, right] = labels[row] ?? ['', ''];
    const label = `${left}${right.padStart(labelColumns - left.length)}`;
    const bands = Array.from({ length: futureColumns }, (_, column) =>
      shadeOf(stepAt(future, ((column + 0.5) / futureColumns) * futureMs), top, row),
    );
    return `${label} ${row === 0 ? '┤' : '│'}${bar.padEnd(pastColumns)}│${bands.join('').trimEnd()}`.trimEnd();
  });
  const [line, ages] = axisOf(pastMs, pastColumns);
  const indent = ' '.repeat(labelColumns);
  const room = columns + 1 - ages.length;
  return [
    ...lines,
    `${indent} └${line}┴${'─'.repeat(futureColumns)}`,
    `${indent}  ${ages}${futureText.length < room ? futureText.padStart(room) : ''}`,
    ...(view.scored === undefined ? [] : [view.scored]),
  ];
}

function labelsOf({ title, top, text, future, why }: SeriesView, futureText: string): (readonly [string, string])[] {
  const last = future.at(-1);
  const range = last === undefined ? '' : `${text(last.q10)} to ${text(last.q90)}`;
  const middle = last === undefined ? '' : text(last.q50);
  return [
    [title, text(top)],
    [futureText, middle],
    ['  80 %', range],
    why === undefined ? ['', ''] : [`by ${why.model}`.slice(0, labelColumnsLeast), ''],
  ];
}

function stepAt(future: readonly Step[], afterMs: number): Step | undefined {
  return future.findLast(({ fromMs }) => fromMs <= afterMs);
}

/** Of the cell in this row, the first line the top: how sure it is that there will be as much. */
function shadeOf(step: Step | undefined, top: number, row: number): string {
  if (step === undefined || top <= 0) return ' ';
  const middle = ((chartRows - 0.5 - row) / chartRows) * top;
  const [sure, even, once] = shades;
  if (step.q10 >= middle) return sure;
  if (step.q50 >= middle) return even;
  return step.q90 >= middle ? once : ' ';
}
