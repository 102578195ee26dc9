import type { Command } from 'commander';
import { checkIdentifier, jobEndPhases, MeshError } from '../../contract/index.ts';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { untilInterrupted } from '../follow.ts';

const examples = `
Examples:
  foremesh cancel flights-7k2m9q
  foremesh cancel flights-7k2m9q --reason 'wrong input'
`;

/** How long the mesh may take to say that the job has ended. */
const confirmMs = 30_000;

export const cancelCommand: CommandModule = {
  name: 'cancel',
  summary: 'cancel a job',
  arguments: [['<job>', 'id of the job']],
  register(command: Command, context: CommandContext) {
    command
      .option('--reason <text>', 'shown with the job', 'cancelled by its owner')
      .addHelpText('after', examples)
      .action((job: string, options: { reason: string }) => cancel(new Session(command, context), job, options.reason));
  },
};

async function cancel(session: Session, job: string, reason: string): Promise<void> {
  checkIdentifier(job, 'job id');
  await session.withMesh(async (client) => {
    const before = (await client.job(job)).state;
    if (jobEndPhases.includes(before.phase)) {
      if (session.json) session.printJson({ state: before });
      return session.tell(`${job} is ${before.phase} already`);
    }
    const handle = client.follow(job);
    const late = setTimeout(() => handle.close(), confirmMs);
    try {
      const state = await untilInterrupted(session, () => handle.cancel(reason));
      if (session.json) session.printJson({ state });
      session.tell(state.phase === 'cancelled' ? `${job} is cancelled` : `too late: ${job} is ${state.phase}`);
    } catch (error) {
      if (!(error instanceof MeshError) || client.connected === false) throw error;
      throw new MeshError('MESH_NO_LEADER', `nobody has confirmed that ${job} is cancelled`, {
        mend: `see what has become of it: foremesh job ${job}`,
        cause: error,
      });
    } finally {
      clearTimeout(late);
      handle.close();
    }
  });
}
