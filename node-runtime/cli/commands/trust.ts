import type { Command } from 'commander';
import { keyIdOf, type TrustChange, type TrustedKey } from '../../contract/index.ts';
import { findPublicKey } from '../../shell/authors/author-keys.ts';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { usageError } from '../report.ts';

interface TrustOptions {
  readonly on?: string;
  readonly list?: boolean;
  readonly remove?: boolean;
  readonly network?: boolean;
}

const help = `
Code of engine "node" runs at full speed and outside the sandbox of WebAssembly: only that of authors whom the owner
of the node trusts. Without --on it is about this machine, and works without the mesh; through the mesh it takes an
account that owns it. What runs already of an author who is not trusted any more is stopped.

Examples:
  foremesh trust --list                     whom this machine trusts
  foremesh trust author                     the key "author" of this home
  foremesh trust ada.key --on pi-3          the key in a file, on another node
  foremesh trust 3f9a --network --on nas    by the begin of its id; its code may use the network of the machine
  foremesh trust 3f9a --remove              not any more`;

/** `foremesh trust`: whose code a node runs outside the sandbox of WebAssembly. */
export const trustCommand: CommandModule = {
  name: 'trust',
  summary: 'say whose signed code a node may run at full speed (engine node)',
  register(command: Command, context: CommandContext) {
    command
      .argument('[key]', 'the key, a file that holds it, a key of this home, or the begin of its id')
      .option('--on <node>', 'which node: that of this machine unless said')
      .option('--list', 'show whom it trusts')
      .option('--remove', 'trust it no more')
      .option('--network', 'its code may use the network of the machine')
      .addHelpText('after', help)
      .action((key: string | undefined, options: TrustOptions, self: Command) =>
        trust(new Session(self, context), key, options),
      );
  },
};

async function trust(session: Session, text: string | undefined, options: TrustOptions): Promise<void> {
  const { on, list = false, remove = false, network = false } = options;
  if (list && (text !== undefined || remove || network)) throw usageError('--list stands alone, or with --on');
  if (remove && network) throw usageError('--remove and --network exclude each other');
  if (!list && text === undefined) throw usageError('trust whom?', 'give a key, or --list');
  const run = async (say: (change: TrustChange) => Promise<readonly TrustedKey[]>) => {
    const known = remove || !isWhole(text) ? (await say({})).map(({ key }) => key) : [];
    const change = list ? {} : changeOf(await findPublicKey(session.home, text!, known), remove, network);
    print(session, await say(change), on ?? 'this machine');
  };
  if (on !== undefined) {
    await session.withMesh((client) => run((change) => client.trust(on, change)));
    return;
  }
  const { tellTrust } = await import('../../shell/owner/local-door.ts');
  let isRunning = true;
  await run(async (change) => {
    const told = await tellTrust(session.home, change);
    isRunning = told.isRunning;
    return told.keys;
  });
  if (!isRunning) session.tell('no node runs in this home: it holds from its next start');
}

function isWhole(text: string | undefined): boolean {
  return text !== undefined && text.length > 16;
}

function changeOf(key: string, remove: boolean, network: boolean): TrustChange {
  return remove ? { remove: key } : { add: { key, capabilities: network ? ['network'] : [] } };
}

function print(session: Session, keys: readonly TrustedKey[], whose: string): void {
  if (session.json) {
    session.printJson({ node: whose, keys: keys.map((each) => ({ id: keyIdOf(each.key), ...each })) });
    return;
  }
  if (keys.length === 0) session.print(`${whose} trusts nobody: engine node runs no code there`);
  for (const { key, capabilities } of keys)
    session.print(
      `${whose} trusts ${keyIdOf(key)}  ${key}${capabilities.length === 0 ? '' : `  with ${capabilities.join(', ')}`}`,
    );
}
