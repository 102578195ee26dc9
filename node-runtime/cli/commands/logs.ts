import type { Command } from 'commander';
import { checkIdentifier, type JobState } from '../../contract/index.ts';
import type { JobHandle, MeshClient } from '../../sdk/index.ts';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { untilInterrupted } from '../follow.ts';
import { printable } from '../text.ts';

interface LogsOptions {
  readonly task?: string;
  readonly follow?: boolean;
}

const examples = `
Kept of each attempt that has ended is the end of its log, 32 KiB; it goes with the job (see \`retention\`). What runs is
shown with --follow, from then on, until the job has ended or ^C.

Examples:
  foremesh logs words-7k2m9q
  foremesh logs words-7k2m9q --follow
  foremesh logs words-7k2m9q --task words-3
  foremesh logs words-7k2m9q --json | jq -r 'select(.failed) | .node + " " + .lines[]'
`;

export const logsCommand: CommandModule = {
  name: 'logs',
  summary: 'show what the tasks of a job have logged, or log',
  arguments: [['<job>', 'id of the job']],
  register(command: Command, context: CommandContext) {
    command
      .option('-f, --follow', 'then go on, until the job has ended')
      .option('-t, --task <task>', 'of this task alone')
      .addHelpText('after', examples)
      .action((job: string, options: LogsOptions) => showLogs(new Session(command, context), job, options));
  },
};

async function showLogs(session: Session, job: string, { task, follow }: LogsOptions): Promise<void> {
  checkIdentifier(job, 'job id');
  if (task !== undefined) checkIdentifier(task, 'task');
  await session.withMesh(async (client) => {
    const handle = client.follow(job);
    // Listened to before anything is asked, so that nothing falls between.
    const live = follow === true ? handle.logs() : undefined;
    await untilInterrupted(session, async () => {
      const first = live?.next();
      const stored = await showStored(session, client, job, task);
      if (live !== undefined)
        await showLive(session, live, first!, (attempt, of) => !stored.has(attempt) && isOf(task, of));
      const { phase } = live === undefined ? await handle.accepted() : await handle.result();
      session.tell(...remark(job, phase, stored.size, live !== undefined));
    });
    handle.close();
  });
}

function isOf(wanted: string | undefined, task: string): boolean {
  return wanted === undefined || wanted === task;
}

/** Prints them; gives their attempts. Throws for a job, or a task of it, that the mesh does not know. */
async function showStored(session: Session, client: MeshClient, job: string, task?: string): Promise<Set<string>> {
  const attempts = new Set<string>();
  for await (const log of client.logs(job, task === undefined ? {} : { task })) {
    attempts.add(log.attempt);
    print(session, log);
  }
  return attempts;
}

async function showLive(
  session: Session,
  live: ReturnType<JobHandle['logs']>,
  first: ReturnType<ReturnType<JobHandle['logs']>['next']>,
  isWanted: (attempt: string, task: string) => boolean,
): Promise<void> {
  for (let next = await first; next.done !== true; next = await live.next()) {
    const { attempt, task, node, lines } = next.value;
    if (isWanted(attempt, task)) print(session, { task, node, attempt, lines });
  }
}

function remark(job: string, phase: JobState['phase'], stored: number, followed: boolean): string[] {
  const isOpen = phase === 'accepted' || phase === 'running';
  if (followed) return [`${job} is ${phase}`];
  if (isOpen) return [`${job} is ${phase}; what its tasks log from now on: foremesh logs ${job} --follow`];
  return stored > 0 ? [] : [`${job} is ${phase}; nothing that its tasks have logged is kept`];
}

interface Lines {
  readonly task: string;
  readonly node: string;
  readonly attempt: string;
  readonly failed?: boolean;
  readonly lines: readonly string[];
}

function print(session: Session, logged: Lines): void {
  if (session.json) {
    session.printJson(logged);
    return;
  }
  const { task, node, failed, lines } = logged;
  const head = session.paintOut('dim', `${task} ${node}${failed === true ? ' (failed)' : ''} |`);
  session.print(...lines.map((line) => `${head} ${printable(line)}`));
}
