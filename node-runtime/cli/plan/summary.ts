import type { PlanAnswer, PlanStage } from '../../contract/index.ts';
import { basisText, guessText, secondsText, unknownCategoryText } from '../estimates.ts';
import type { Paint } from '../style.ts';
import { type Column, renderTable } from '../table.ts';
import { durationText, plural, timeOfDay } from '../text.ts';

const oldBasisTexts = {
  own: 'by what its tasks took',
  category: 'by other code of its category',
  all: 'by other code, of any category',
} as const;

/** The stages as a table: what each has to do, what a task takes, and when. */
export function stageLines({ stages }: PlanAnswer): string[] {
  const columns: readonly Column<PlanStage>[] = [
    { title: 'STAGE', cell: ({ stage }) => stage },
    { title: 'TASKS', align: 'right', cell: ({ tasks, isExact }) => `${isExact ? '' : 'about '}${tasks}` },
    { title: 'EACH', cell: eachText },
    {
      title: 'FROM',
      align: 'right',
      cell: ({ startMs }) => (startMs === undefined ? '' : startMs === 0 ? 'now' : durationText(startMs)),
    },
    { title: 'TO', align: 'right', cell: ({ finishMs }) => (finishMs === undefined ? '' : durationText(finishMs)) },
    { title: 'NEEDS', cell: ({ needs }) => needs.join(', ') },
  ];
  return [
    ...renderTable(stages, columns),
    ...stages.flatMap(sizedText),
    ...stages.flatMap(guessedText),
    ...stages.flatMap(unknownText),
  ].map((line) => `  ${line}`);
}

/** How a stage is cut whose job wants to be sure of its deadline. */
function sizedText({ stage, sizedFor }: PlanStage): string[] {
  if (sizedFor === undefined) return [];
  const { confidence, share } = sizedFor;
  const less = share < 0.995 ? `, ${percent(share)} of what is expected` : '';
  return [`pieces of ${stage}: what a node does in their time with ${percent(confidence)}${less}`];
}

function guessedText({ stage, growth }: PlanStage): string[] {
  return growth === 'guessed' ? [`${stage}: ${guessText}`] : [];
}

function unknownText({ stage, unknownCategory }: PlanStage): string[] {
  return unknownCategory === undefined ? [] : [`${stage}: ${unknownCategoryText(unknownCategory)}`];
}

function eachText({ workSeconds, basis, evidence }: PlanStage): string {
  if (workSeconds === undefined) return 'unknown';
  const { q10, q50, q90 } = workSeconds;
  const band = `${secondsText(q50)} (80 %: ${secondsText(q10)} to ${secondsText(q90)})`;
  if (basis === 'none') return band;
  if (basis === 'author') return `${band} as its author says`;
  // A leader of an earlier release does not count.
  return `${band} ${evidence === undefined ? oldBasisTexts[basis] : basisText({ basis, evidence })}`;
}

/** When it ends, what it costs, the deadline, and, last, the line that says it all: `plan: 3 nodes, 14:05:31 (90 %)`. */
export function closingLines(plan: PlanAnswer, nowMs: number, paint: Paint): string[] {
  const { cost, deadline, problems, finish, promise: sure } = plan;
  const lines: string[] = [];
  if (finish?.q50Ms !== undefined) {
    const late = sure === undefined ? '' : `, ${durationText(sure.withinMs)} (${percent(sure.confidence)})`;
    const often = `${durationText(finish.q50Ms)} (50 %)`;
    lines.push(`  done in ${often}${late}; FROM and TO: if each task takes what it does in the middle`);
  }
  if (cost !== undefined) {
    const { finishSeconds, contentionSeconds, transferSeconds, riskSeconds } = cost;
    const [ends, contention, transfer, risk] = [finishSeconds, contentionSeconds, transferSeconds, riskSeconds].map(
      secondsText,
    );
    lines.push(`  cost: makespan ${ends} on average, contention ${contention}, transfer ${transfer}, risk ${risk}`);
  }
  if (deadline !== undefined) {
    const { withinMs, probability, confidence } = deadline;
    const isLikely = probability >= confidence;
    // Otherwise a problem says it, and more.
    if (isLikely)
      lines.push(`  ${paint('good', `deadline in ${durationText(withinMs)}: met with ${percent(probability)}`)}`);
  }
  for (const { code, message, mend } of problems)
    lines.push(`  ${paint('bad', code)} ${message}`, ...(mend === undefined ? [] : [`  ${paint('dim', mend)}`]));
  const promise = promiseText(plan, nowMs);
  return promise === undefined ? lines : [...lines, promise];
}

/** `plan: 3 nodes, 14:05:31 (90 %)`, by the clock of this machine: the leader tells durations. */
export function promiseText({ nodes, promise, finish }: PlanAnswer, nowMs: number): string | undefined {
  if (finish === undefined) return undefined;
  const used = plural(nodes.filter(({ tasks }) => tasks > 0).length, 'node');
  if (promise === undefined) return `plan: ${used}, later than is foreseen`;
  return `plan: ${used}, ${timeOfDay(nowMs + promise.withinMs, nowMs)} (${percent(promise.confidence)})`;
}

/** Whole per cent, never all or nothing: nobody is so sure. */
function percent(share: number): string {
  return `${Math.min(99, Math.max(1, Math.floor(100 * share + 1e-9)))} %`;
}
