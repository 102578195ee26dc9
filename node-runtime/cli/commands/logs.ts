import type { Command } from 'commander';
import { checkIdentifier, type JobLogs } from '../../contract/index.ts';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { untilInterrupted } from '../follow.ts';
import { printable } from '../text.ts';

interface LogsOptions {
  readonly task?: string;
}

const examples = `
Lines are shown as tasks write them, from now until the job has ended or ^C; they are not stored anywhere, so what was
written before is gone. To see all of a job, submit it with --detach, or start this in another terminal.

Examples:
  foremesh logs words-7k2m9q
  foremesh logs words-7k2m9q --task words-3
  foremesh logs words-7k2m9q --json | jq -r '.node + " " + .lines[]'
`;

export const logsCommand: CommandModule = {
  name: 'logs',
  summary: 'show what the tasks of a job log, as they log it',
  arguments: [['<job>', 'id of the job']],
  register(command: Command, context: CommandContext) {
    command
      .option('-f, --follow', 'until the job has ended: as it always is')
      .option('-t, --task <task>', 'of this task alone')
      .addHelpText('after', examples)
      .action((job: string, options: LogsOptions) => showLogs(new Session(command, context), job, options));
  },
};

async function showLogs(session: Session, job: string, { task }: LogsOptions): Promise<void> {
  checkIdentifier(job, 'job id');
  if (task !== undefined) checkIdentifier(task, 'task');
  await session.withMesh(async (client) => {
    const handle = client.follow(job);
    await untilInterrupted(session, async () => {
      // Watched before anything is asked, so that nothing falls between.
      const shown = (async () => {
        for await (const logs of handle.logs()) {
          if (task === undefined || logs.task === task) print(session, logs);
        }
      })();
      // Throws for a job that the mesh does not know.
      const [{ phase }] = await Promise.all([handle.result(), shown]);
      session.tell(`${job} is ${phase}; what its tasks logged is not stored`);
    });
  });
}

function print(session: Session, logs: JobLogs): void {
  if (session.json) {
    session.printJson(logs);
    return;
  }
  const { task, node, lines } = logs;
  const head = session.paintOut('dim', `${task} ${node} |`);
  session.print(...lines.map((line) => `${head} ${printable(line)}`));
}
