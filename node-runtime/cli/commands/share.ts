import type { Command } from 'commander';
import { isIdentifier, MeshError, type PreferencesChange, type PreferencesHeld } from '../../contract/index.ts';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import {
  addPreferenceOptions,
  changeOf,
  describePreferences,
  type PreferenceOptions,
  parseShare,
} from '../preferences.ts';

const shareExamples = `
Without a node it is about this machine, and works without the mesh. What is said there holds against
whatever the mesh is told: of both the stricter. The word "any" lifts a limit.

Examples:
  foremesh share                              what holds on this machine
  foremesh share 25%                          a quarter of this machine, from now on
  foremesh share pi-3 50%                     of another one, through the mesh
  foremesh share pi-3 --hours 22:00-07:00     only at night
  foremesh share --keep-memory 1GB --temperature 70
  foremesh share --hours any                  at any time again
  foremesh share pi-3 --json | jq .holds
`;

export const shareCommand: CommandModule = {
  name: 'share',
  summary: 'say what the mesh may have of a machine: how much, when, how hot',
  register(command: Command, context: CommandContext) {
    addPreferenceOptions(
      command
        .argument('[node]', 'which machine: this one unless said')
        .argument('[share]', 'of its cores and memory: 50% or 0.5'),
    )
      .addHelpText('after', shareExamples)
      .action((first: string | undefined, second: string | undefined, options: PreferenceOptions) => {
        const [node, share] =
          second === undefined && first !== undefined && !isIdentifier(first) ? [undefined, first] : [first, second];
        const change = { ...changeOf(options), ...(share === undefined ? {} : { share: shareOf(share) }) };
        return say(new Session(command, context), node, change);
      });
  },
};

export const pauseCommand = modeCommand('pause', 'paused', 'let the mesh run nothing on a machine until `resume`', [
  'What runs there is given back at once, and runs elsewhere from its beginning.',
  'Examples:',
  '  foremesh pause            this machine',
  '  foremesh pause pi-3',
]);

export const drainCommand = modeCommand('drain', 'draining', 'let a machine finish what it runs and take no more', [
  'What waits there goes elsewhere. `foremesh nodes` shows when nothing runs any more.',
  'Examples:',
  '  foremesh drain pi-3       before it is stopped',
  '  foremesh drain            this machine',
]);

export const resumeCommand = modeCommand('resume', null, 'let the mesh use a machine again after `pause` or `drain`', [
  'A machine that was paused on the machine itself is resumed there.',
  'Examples:',
  '  foremesh resume           this machine',
  '  foremesh resume pi-3',
]);

function modeCommand(
  name: string,
  mode: NonNullable<PreferencesChange['mode']> | null,
  summary: string,
  text: readonly string[],
): CommandModule {
  return {
    name,
    summary,
    arguments: [['[node]', 'which machine: this one unless said']],
    register(command: Command, context: CommandContext) {
      command
        .addHelpText('after', `\n${text.join('\n')}\n`)
        .action((node: string | undefined) => say(new Session(command, context), node, { mode }));
    },
  };
}

function shareOf(text: string): number | null {
  if (text === 'any') return null;
  try {
    return parseShare(text);
  } catch {
    throw new MeshError('MESH_USAGE', `"${text}" is no share of a machine`, {
      mend: 'give 50% or 0.5: above 0, at most 1; a node goes before it',
    });
  }
}

/** Through the mesh when a node is named, else to the node of this home, be it running or not. */
async function say(session: Session, node: string | undefined, change: PreferencesChange): Promise<void> {
  if (node === undefined) {
    const { tellNode } = await import('../../shell/owner/local-door.ts');
    const { preferences, isRunning } = await tellNode(session.home, change);
    print(session, preferences, 'this machine');
    if (!isRunning) session.tell('no node runs in this home: it holds from its next start');
    return;
  }
  await session.withMesh(async (client) => print(session, await client.setPreferences(node, change), node));
}

function print(session: Session, preferences: PreferencesHeld, whose: string): void {
  if (session.json) session.printJson(preferences);
  else session.print(`${whose}: ${describePreferences(preferences).join('; ')}`);
}
