import type { Command } from 'commander';
import { type JobPhase, type JobPromise, type JobState, jobPhase } from '../../contract/index.ts';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { usageError } from '../report.ts';
import { type Column, renderTable } from '../table.ts';
import { durationText, percentText, plural } from '../text.ts';

const examples = `
Examples:
  foremesh jobs
  foremesh jobs --phase running
  foremesh jobs --promises                        how often jobs were done by when it was promised
  foremesh jobs --json | jq -r '.jobs[].job'
`;

export const jobsCommand: CommandModule = {
  name: 'jobs',
  summary: 'list the jobs of your account',
  register(command: Command, context: CommandContext) {
    command
      .option('--phase <phase>', 'only accepted, scheduled, running, done, failed or cancelled ones')
      .option('--promises', 'how long jobs took that are done, what was promised of them, and how often that held')
      .addHelpText('after', examples)
      .action(({ phase, promises }: { phase?: string; promises?: boolean }) => {
        const session = new Session(command, context);
        return promises === true ? listPromises(session) : listJobs(session, phase);
      });
  },
};

async function listJobs(session: Session, phase: string | undefined): Promise<void> {
  const parsed = phase === undefined ? undefined : jobPhase.safeParse(phase);
  if (parsed?.success === false) {
    throw usageError(`--phase "${phase}" is unknown`, 'use accepted, scheduled, running, done, failed or cancelled');
  }
  const filter: { phase?: JobPhase } = parsed === undefined ? {} : { phase: parsed.data };
  await session.withMesh(async (client) => {
    const { rows, truncated } = await client.jobs(filter);
    if (session.json) return session.printJson({ jobs: rows, truncated });
    if (rows.length === 0)
      return session.tell(phase === undefined ? 'no jobs yet: foremesh submit job.yaml' : `no job is ${phase}`);
    session.print(...renderTable(rows, columns));
    if (truncated > 0) session.print(`and ${plural(truncated, 'job')} more`);
  });
}

/** Of the jobs that are kept. What was promised late is easily kept: it is said when it was. */
async function listPromises(session: Session): Promise<void> {
  const { rows } = await session.withMesh((client) => client.jobs({ phase: 'done' }));
  const kept = rows.flatMap((state) => {
    const { job, promise, elapsedMs } = state;
    return promise === undefined ? [] : [{ job, elapsedMs, ...promise, held: elapsedMs <= promise.withinMs }];
  });
  const held = kept.filter((each) => each.held).length;
  const expected = kept.reduce((sum, { confidence }) => sum + confidence, 0) / Math.max(1, kept.length);
  if (session.json) return session.printJson({ promises: kept, held, expected });
  if (kept.length === 0) return session.tell('no job that is done was promised anything yet');
  session.print(...renderTable(kept, promiseColumns));
  const share = `${percentText(held / kept.length)}; ${percentText(expected)} were to`;
  session.print(`${held} of ${plural(kept.length, 'promise')} held (${share})`);
}

interface PromiseRow extends JobPromise {
  readonly job: string;
  readonly elapsedMs: number;
  readonly held: boolean;
}

const promiseColumns: readonly Column<PromiseRow>[] = [
  { title: 'JOB', cell: ({ job }) => job },
  { title: 'TOOK', align: 'right', cell: ({ elapsedMs }) => durationText(elapsedMs) },
  { title: 'PROMISED', align: 'right', cell: ({ withinMs }) => durationText(withinMs) },
  { title: 'WITH', align: 'right', cell: ({ confidence }) => percentText(confidence) },
  { title: 'AFTER', align: 'right', cell: ({ madeMs }) => durationText(madeMs) },
  { title: '', cell: ({ held }) => (held ? '' : 'missed') },
];

const columns: readonly Column<JobState>[] = [
  { title: 'JOB', cell: ({ job }) => job },
  { title: 'PHASE', cell: ({ phase }) => phase },
  { title: 'PROGRESS', align: 'right', cell: (state) => percentText(progressOf(state)) },
  { title: 'TASKS', align: 'right', cell: ({ stages }) => tasksOf(stages) },
  { title: 'PRIORITY', align: 'right', cell: ({ priority }) => String(priority) },
  { title: 'TIME', align: 'right', cell: ({ elapsedMs }) => durationText(elapsedMs) },
  { title: 'LEFT', align: 'right', cell: (state) => leftOf(state) },
  { title: 'PROBLEM', cell: ({ problem }) => problem?.message.split('\n')[0] ?? '' },
];

function progressOf({ phase, stages }: JobState): number {
  if (phase === 'done' || stages.length === 0) return phase === 'done' ? 1 : 0;
  return stages.reduce((sum, { progress }) => sum + progress, 0) / stages.length;
}

function tasksOf(stages: JobState['stages']): string {
  const all = stages.reduce((sum, { tasks }) => sum + tasks, 0);
  return all === 0 ? '' : `${stages.reduce((sum, { done }) => sum + done, 0)}/${all}`;
}

function leftOf({ phase, remainingMs, schedule }: JobState): string {
  if (phase === 'scheduled' && schedule?.nextMs !== undefined)
    return `next in ${durationText(Math.max(0, schedule.nextMs - Date.now()))}`;
  return (phase === 'running' || phase === 'accepted') && remainingMs !== undefined ? durationText(remainingMs) : '';
}
