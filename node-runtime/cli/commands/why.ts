import type { Command } from 'commander';
import {
  checkIdentifier,
  type FirstRoom,
  type PlacementCost,
  type WhyAnswer,
  type WhyNode,
} from '../../contract/index.ts';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { estimateText, unknownCategoryText } from '../estimates.ts';
import { ExitWith, exitCodeOf } from '../exit-codes.ts';
import { usageError } from '../report.ts';
import { type Column, renderTable } from '../table.ts';
import { durationText, hourOfDay, plural, printable, timeOfDay } from '../text.ts';

const examples = `
Tasks are named as \`foremesh job ID\` lists them. Of several jobs with such a task the newest is meant, unless the
job stands before it.

Examples:
  foremesh why flights-7k2m9q             what the job waits for
  foremesh why delays-3                   why this task waits, or runs where it does
  foremesh why flights-7k2m9q/delays-3
  foremesh why delays-3 --json | jq '.nodes[] | select(.verdict == "never")'

Of tasks of known work, a second or more, each node has a cost, in seconds: to the end of the task there, and what the device's own
work, the links and whoever does lost work again would pay; a job weighs them (\`weights\` in its file).

Exit code 2 (MESH_NO_ROOM) when no node can take it, be it that none has the memory now. When there will be room is
what the leader foresees, by the clock of this machine: of the node that has some first, by what the devices take themselves
and by how long the tasks that run there usually take. Others may come before this task: then the plan of its job says when it begins.
`;

export const whyCommand: CommandModule = {
  name: 'why',
  summary: 'say why a task waits, or why it runs where it runs',
  arguments: [['<task>', 'a task, job/task, or a job']],
  register(command: Command, context: CommandContext) {
    command.addHelpText('after', examples).action((what: string) => why(new Session(command, context), what));
  },
};

async function why(session: Session, what: string): Promise<void> {
  const [name = '', job, ...more] = what.split('/').reverse();
  if (more.length > 0) throw usageError(`"${what}" is no task`, 'name a task, job/task, or a job');
  checkIdentifier(name, job === undefined ? 'task or job' : 'task');
  if (job !== undefined) checkIdentifier(job, 'job id');
  const answer = await session.withMesh((client) => client.why(name, job));
  if (session.json) session.printJson(answer);
  else session.print(...linesOf(session, answer));
  if (answer.code !== undefined) throw ExitWith.code(exitCodeOf(answer.code));
}

function linesOf(session: Session, answer: WhyAnswer): string[] {
  const { job, task, text, waitsFor, placed, nodes, truncated, stages, mend, code, estimate, room, weights } = answer;
  const nowMs = Date.now();
  const what = text + startText(answer, nowMs);
  const lines = [printable(task === undefined ? `${job}: ${what}` : `${task} (job ${job}) ${what}`)];
  if (waitsFor.length > 0) lines.push(`  ${waitsFor.join(', ')}`);
  if (placed !== undefined) {
    const since = durationText(placed.startedMs ?? placed.assignedMs);
    lines.push(`  for ${since}, as ${placed.attempt}`);
    lines.push(nodes.length === 0 ? '  another leader placed it, and knew why' : '  as things were then:');
  }
  lines.push(
    ...renderTable(nodes, nodeColumns(nowMs, room?.node, weights))
      .slice(1)
      .map((line) => `  ${line}`),
  );
  if (truncated > 0) lines.push(`  and ${plural(truncated, 'node')} more`);
  if (answer.decidedBy !== undefined) lines.push(`  decided by: ${answer.decidedBy}`);
  lines.push(...moveLines(answer));
  const others = stages.filter(({ reason }) => task === undefined || reason === 'needs' || reason === 'index');
  if (others.length > 0) lines.push(...others.map((each) => printable(`  stage ${each.stage} ${each.text}`)));
  if (estimate !== undefined && estimate.basis !== 'none') lines.push(`  it takes ${estimateText(estimate)}`);
  if (estimate?.unknownCategory !== undefined) lines.push(`  ${unknownCategoryText(estimate.unknownCategory)}`);
  if (code !== undefined) lines.push(session.paintOut('dim', mend === undefined ? code : `${code}: ${mend}`));
  return lines;
}

/** `; first room at 14:20 (80 %: 14:12-14:31)`; of one that is not the next, for whom, and when it begins itself by the plan of its job. */
function startText({ room, ahead, planned }: WhyAnswer, nowMs: number): string {
  const first =
    room === undefined
      ? ''
      : `; first room ${(ahead?.tasks ?? 0) > 0 ? 'for any of them ' : ''}${roomText(room, nowMs)}`;
  if (planned === undefined) return first;
  const { node, startMs } = planned;
  return `${first}; by the plan it begins about ${hourOfDay(nowMs + startMs)}, on ${node}`;
}

/** When its node had too much of its work: that it was moved, or might have been. */
function moveLines({ move, weights = equalWeights }: WhyAnswer): string[] {
  if (move === undefined) return [];
  const { decision, from, agoMs, text, stay, alternatives } = move;
  const [best] = alternatives;
  const what = decision === 'moved' ? `moved from ${from}` : `stayed on ${from}`;
  const lines = [`  ${what} ${durationText(agoMs)} ago: ${text}`, `    ${from}  ${costText(stay, weights)}`];
  if (best === undefined) return lines;
  const { kind, to, cost, gainSeconds, chargeSeconds } = best;
  const charge = `a ${kind} gains ${gainSeconds.toFixed(1)} s, and is charged ${chargeSeconds.toFixed(1)} s`;
  return [...lines, `    ${to.join(', ')}  ${costText(cost, weights)}; ${charge}`];
}
const equalWeights = { makespan: 1, contention: 1, transfer: 1, risk: 1 };

/** `first` is the node that has room first. */
function nodeColumns(
  nowMs: number,
  first: string | undefined,
  weights: WhyAnswer['weights'],
): readonly Column<WhyNode>[] {
  const arrowOf = ({ node, verdict, mend }: WhyNode) => {
    if (verdict === 'chosen') return '<- chosen';
    return mend === undefined ? (node === first ? '<- plan' : '') : `-> ${mend}`;
  };
  return [
    { title: '', cell: ({ node }) => node },
    { title: '', cell: (row) => row.text + thenText(row, nowMs) },
    { title: '', cell: ({ cost }) => (cost === undefined || weights === undefined ? '' : costText(cost, weights)) },
    { title: '', cell: arrowOf },
  ];
}

/** Terms below this are not worth reading. */
const shownSecondsLeast = 0.05;

/** `cost 15.4: ends in 12.3 s (80 %: 8.0-20.1) + 3.1 contention`. */
function costText(cost: PlacementCost, weights: NonNullable<WhyAnswer['weights']>): string {
  const { finishSeconds, totalSeconds, finishQuantilesSeconds: finish } = cost;
  const shown = (seconds: number) => (seconds < 100 ? seconds.toFixed(1) : String(Math.round(seconds)));
  const times = (weight: number) => (weight === 1 ? '' : `${weight} x `);
  const end = `ends in ${shown(finishSeconds)} s (80 %: ${shown(finish.q10)}-${shown(finish.q90)})`;
  const terms = [
    ['contention', cost.contentionSeconds],
    ['transfer', cost.transferSeconds],
    ['risk', cost.riskSeconds],
  ] as const;
  const others = terms.filter(([, seconds]) => seconds >= shownSecondsLeast);
  const sum = others.map(([name, seconds]) => ` + ${times(weights[name])}${shown(seconds)} ${name}`);
  return `cost ${shown(totalSeconds)}: ${times(weights.makespan)}${end}${sum.join('')}`;
}

/** A band that is narrower is told to the second. */
const secondsBelowMs = 300_000;

/** `at 14:20 (80 %: 14:12-14:31)`, by the clock of this machine: the leader tells durations. */
function roomText({ earliestMs, afterMs, latestMs, horizonMs }: FirstRoom, nowMs: number): string {
  const isNear = (latestMs ?? horizonMs) - (earliestMs ?? 0) < secondsBelowMs;
  const at = (ms: number) => (isNear ? timeOfDay(nowMs + ms, nowMs) : hourOfDay(nowMs + ms));
  if (earliestMs === undefined) return `later than ${at(horizonMs)}, as far as is foreseen`;
  if (earliestMs === latestMs) return `at ${at(earliestMs)}`;
  const latest = latestMs === undefined ? `later than ${at(horizonMs)}` : at(latestMs);
  const range = `80 %: ${at(earliestMs)}-${latest}`;
  return afterMs === undefined ? `perhaps at ${at(earliestMs)} (${range})` : `at ${at(afterMs)} (${range})`;
}

/** `, 1200 MiB at 14:20` where memory is what is missing, else `, room at 14:20`. */
function thenText({ reason, room }: WhyNode, nowMs: number): string {
  if (room?.afterMs === undefined || room.memoryBytes === undefined) return '';
  const what = reason === 'memory-now' ? `${Math.floor(room.memoryBytes / 1024 ** 2)} MiB` : 'room';
  return `, ${what} at ${hourOfDay(nowMs + room.afterMs)}`;
}
