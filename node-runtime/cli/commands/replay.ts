import type { Command } from 'commander';
import { MeshError } from '../../contract/index.ts';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { plural } from '../text.ts';

const examples = `
A voter that was started with --journal keeps everything that came into its decisions. Replaying it
makes the same decisions again, byte for byte, wherever and whenever.

Examples:
  foremesh node --journal journals
  foremesh replay journals/pi-3-4f2a9c11d0e3b786.journal
`;

export const replayCommand: CommandModule = {
  name: 'replay',
  summary: 'live through the journal of a voter again, and say whether it decides the same',
  arguments: [['<file>', 'what `foremesh node --journal` wrote']],
  register(command: Command, context: CommandContext) {
    command.addHelpText('after', examples).action((file: string) => replay(new Session(command, context), file));
  },
};

async function replay(session: Session, file: string): Promise<void> {
  const [{ replayJournal }, { planningPolicy }] = await Promise.all([
    import('../../shell/voter/journal.ts'),
    import('../../shell/voter/policy.ts'),
  ]);
  const replayed = await replayJournal(file, planningPolicy);
  if (session.json) session.printJson(replayed);
  const { node, release, events, effects, torn, differsAt } = replayed;
  if (differsAt !== undefined) {
    throw new MeshError(
      'MESH_REPLAY_DIFFERS',
      `${node} answered event ${differsAt.event}, ${differsAt.type}, otherwise`,
      {
        where: file,
        mend: `it was written by release ${release}: replay it with that one`,
      },
    );
  }
  if (session.json) return;
  session.print(`${node}: ${plural(events, 'event')}, ${plural(effects, 'effect')}: the same, byte for byte`);
  if (torn) session.print('the journal ends in the middle of an event: its process was killed');
}
