import type { Command } from 'commander';
import { checkIdentifier, type JobState, type StageState, type TaskRow } from '../../contract/index.ts';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { followJob } from '../follow.ts';
import { renderJob } from '../progress.ts';
import { reportLines, usageError } from '../report.ts';
import { type Column, renderTable } from '../table.ts';
import { durationText, percentText, plural } from '../text.ts';

interface JobOptions {
  readonly follow?: boolean;
  readonly out?: string;
}

const examples = `
Examples:
  foremesh job flights-7k2m9q                      its stages and tasks now
  foremesh job flights-7k2m9q --follow             wait for the end, print the result
  foremesh job flights-7k2m9q --follow --out t.json
  foremesh job flights-7k2m9q --json | jq '.tasks[] | select(.state == "failed")'
`;

export const jobCommand: CommandModule = {
  name: 'job',
  summary: 'show one job: its stages, its tasks and who runs them',
  arguments: [['<job>', 'id of the job']],
  register(command: Command, context: CommandContext) {
    command
      .option('-f, --follow', 'show its progress until it has ended, then its result')
      .option('-o, --out <file>', 'with --follow: write the result here')
      .addHelpText('after', examples)
      .action((job: string, options: JobOptions) => showJob(new Session(command, context), job, options));
  },
};

async function showJob(session: Session, job: string, { follow, out }: JobOptions): Promise<void> {
  checkIdentifier(job, 'job id');
  if (out !== undefined && follow !== true) throw usageError('--out goes with --follow');
  await session.withMesh(async (client) => {
    if (follow === true) return followJob(session, client, client.follow(job), out);
    const details = await client.job(job);
    if (session.json) session.printJson(details);
    else session.print(...jobLines(session, details.state, details.tasks, details.truncated));
  });
}

function jobLines(session: Session, state: JobState, tasks: readonly TaskRow[], truncated: number): string[] {
  const { io, paintOut: paint } = session;
  // What is piped on has no width.
  const columns = io.stdout.isTTY ? io.stdout.columns : 200;
  const lines = renderJob({ state, runningByNode: runningByNode(tasks), atMs: Date.now() }, { columns, paint });
  lines.push(...dueLines(state));
  if (state.problem !== undefined && ['failed', 'cancelled', 'scheduled'].includes(state.phase)) {
    lines.push(...reportLines(state.problem, paint));
  }
  lines.push('', ...renderTable(state.stages, stageColumns));
  if (tasks.length > 0) lines.push('', ...renderTable(tasks, taskColumns));
  if (truncated > 0) lines.push(`and ${plural(truncated, 'task')} more`);
  return lines;
}

/** When it is run, or should have ended. */
function dueLines({ schedule, deadline, occurrence }: JobState): string[] {
  const at = (atMs: number) => new Date(atMs).toISOString();
  const lines: string[] = [];
  if (occurrence !== undefined) lines.push(`of schedule ${occurrence.schedule}, due ${at(occurrence.atMs)}`);
  if (deadline !== undefined) lines.push(`deadline ${at(deadline.atMs)}${deadline.missed ? ', missed' : ''}`);
  if (schedule === undefined) return lines;
  const { cron, timezone, catchUp, overlap, nextMs, started, skipped, latest, lastSkipped } = schedule;
  lines.push(`schedule ${cron} (${timezone}), catch up ${catchUp}, overlap ${overlap}`);
  lines.push(nextMs === undefined ? 'not begun yet' : `next ${at(nextMs)}`);
  lines.push(`${started} started${latest === undefined ? '' : `, the last is ${latest}`}; ${skipped} left out`);
  if (lastSkipped !== undefined) lines.push(`last left out: ${at(lastSkipped.atMs)}, ${lastSkipped.reason}`);
  return lines;
}

function runningByNode(tasks: readonly TaskRow[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { node, state } of tasks) {
    if (node !== undefined && (state === 'running' || state === 'moving')) counts[node] = (counts[node] ?? 0) + 1;
  }
  return counts;
}

const numberOf = (count: number) => (count === 0 ? '' : String(count));

const stageColumns: readonly Column<StageState>[] = [
  { title: 'STAGE', cell: ({ stage }) => stage },
  { title: 'TASKS', align: 'right', cell: ({ tasks }) => (tasks === 0 ? '-' : String(tasks)) },
  { title: 'WAITING', align: 'right', cell: ({ waiting }) => numberOf(waiting) },
  { title: 'RUNNING', align: 'right', cell: ({ running }) => numberOf(running) },
  { title: 'DONE', align: 'right', cell: ({ done }) => numberOf(done) },
  { title: 'FAILED', align: 'right', cell: ({ failed }) => numberOf(failed) },
  { title: 'PROGRESS', align: 'right', cell: ({ progress }) => percentText(progress) },
];

const waits = {
  needs: 'for other tasks',
  index: 'for record borders',
  queued: 'its turn',
  unplaceable: 'for room: foremesh why',
};

const taskColumns: readonly Column<TaskRow>[] = [
  { title: 'TASK', cell: ({ task }) => task },
  { title: 'STATE', cell: ({ state }) => state },
  { title: 'NODE', cell: ({ node }) => node ?? '' },
  { title: 'ATTEMPTS', align: 'right', cell: ({ attempts }) => numberOf(attempts) },
  { title: 'PROGRESS', align: 'right', cell: ({ progress }) => percentText(progress) },
  { title: 'TIME', align: 'right', cell: ({ wallMs }) => (wallMs === undefined ? '' : durationText(wallMs)) },
  { title: 'WAITS', cell: ({ reason }) => (reason === undefined ? '' : waits[reason]) },
  {
    title: 'PROBLEM',
    cell: ({ problem }) => (problem === undefined ? '' : `${problem.message.split('\n')[0]} (${problem.code})`),
  },
];
