import type { PlanAnswer } from '../../contract/index.ts';
import type { Paint, Tone } from '../style.ts';
import { durationText, plural, widthOf } from '../text.ts';
import { type Lane, lanesOf, spanMsOf, ticksOf } from './lanes.ts';

const columnsMost = 120;
const columnsLeast = 20;
const lanesMost = 32;
const tones: readonly Tone[] = ['good', 'busy', 'strong', 'dim'];
const idle = '·';
const merging = '+';

/** Stages by their letters: of its name the first that no stage before it has. */
function lettersOf({ stages }: PlanAnswer): Map<string, string> {
  const letters = new Map<string, string>();
  const taken = new Set<string>();
  for (const { stage } of stages) {
    const letter = [...`${stage.toLowerCase()}abcdefghijklmnopqrstuvwxyz`].find(
      (each) => /[a-z]/.test(each) && !taken.has(each),
    );
    letters.set(stage, letter ?? '?');
    taken.add(letter ?? '?');
  }
  return letters;
}

/**
 * Who does what when: a line for each slot, time from left to right. A task is a run of its stage's letter, the tasks of a slot by turns in
 * small and capital letters, so that one can be told from the next; a merge is `+`.
 */
export function ganttOf(plan: PlanAnswer, terminalColumns: number, paint: Paint): string[] {
  const lanes = lanesOf(plan);
  if (lanes.length === 0) return [];
  const letters = lettersOf(plan);
  const shown = lanes.slice(0, lanesMost);
  const titleWidth = Math.max(...shown.map(({ title }) => widthOf(title)));
  const columns = Math.min(columnsMost, Math.max(columnsLeast, terminalColumns - titleWidth - 5));
  const spanMs = spanMsOf(plan);
  const toneOf = new Map(plan.stages.map(({ stage }, index) => [stage, tones[index % tones.length]!]));
  const lines = shown.map((lane) => {
    const gap = ' '.repeat(titleWidth - widthOf(lane.title));
    return `  ${lane.title}${gap} ${barOf(lane, spanMs, columns, letters, toneOf, paint)}`.trimEnd();
  });
  if (lanes.length > shown.length) lines.push(`  and ${plural(lanes.length - shown.length, 'slot')} more`);
  const indent = ' '.repeat(titleWidth + 3);
  return [
    ...lines,
    ...axisOf(spanMs, columns).map((line) => (indent + line).trimEnd()),
    ...legendOf(plan, letters, toneOf, paint),
  ];
}

function barOf(
  { tasks }: Lane,
  spanMs: number,
  columns: number,
  letters: ReadonlyMap<string, string>,
  toneOf: ReadonlyMap<string, Tone>,
  paint: Paint,
): string {
  const cells: { readonly text: string; readonly stage?: string }[] = Array.from({ length: columns }, () => ({
    text: idle,
  }));
  for (const [number, { stage, startMs, finishMs, isMerge }] of tasks.entries()) {
    const letter = letters.get(stage)!;
    const text = isMerge ? merging : number % 2 === 0 ? letter : letter.toUpperCase();
    const first = Math.min(columns - 1, Math.floor((startMs / spanMs) * columns));
    // However short, a task is seen.
    const last = Math.max(first, Math.ceil((finishMs / spanMs) * columns) - 1);
    for (let cell = first; cell <= Math.min(last, columns - 1); cell += 1) cells[cell] = { text, stage };
  }
  let line = '';
  for (let from = 0; from < columns; ) {
    let to = from;
    while (to < columns && cells[to]!.stage === cells[from]!.stage) to += 1;
    const { stage } = cells[from]!;
    const text = cells
      .slice(from, to)
      .map((cell) => cell.text)
      .join('');
    line += paint(stage === undefined ? 'dim' : toneOf.get(stage)!, text);
    from = to;
  }
  return line;
}

function axisOf(spanMs: number, columns: number): [string, string] {
  const marks = ticksOf(spanMs, Math.max(2, Math.floor(columns / 16)));
  const at = (ms: number) => Math.min(columns - 1, Math.round((ms / spanMs) * columns));
  const columnsOfMarks = new Set(marks.map(at));
  const line = Array.from({ length: columns }, (_, column) => (columnsOfMarks.has(column) ? '┴' : '─')).join('');
  let labels = '';
  for (const ms of marks) {
    const label = ms === 0 ? 'now' : durationText(ms);
    const column = at(ms);
    if (column >= labels.length && column + label.length <= columns + 8) labels = labels.padEnd(column) + label;
  }
  return [line, labels];
}

function legendOf(
  { stages }: PlanAnswer,
  letters: ReadonlyMap<string, string>,
  toneOf: ReadonlyMap<string, Tone>,
  paint: Paint,
): string[] {
  const each = stages.map(({ stage }) => `${paint(toneOf.get(stage)!, letters.get(stage)!)} ${stage}`);
  if (stages.some(({ merges }) => merges)) each.push(`${merging} its merge`);
  return [`  ${each.join('   ')}`];
}
