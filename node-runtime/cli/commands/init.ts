import { type Command, Option } from 'commander';
import { formatConnection, isLoopback, MeshError } from '../../contract/index.ts';
import { authorDefault, listAuthorKeys, makeAuthorKey } from '../../shell/authors/author-keys.ts';
import { changeTrustedAuthors, readTrustedAuthors } from '../../shell/authors/trusted-authors.ts';
import { foundMesh } from '../../shell/found.ts';
import type { Home } from '../../shell/home.ts';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { installCommand, loadOptional } from '../extensions.ts';

interface InitOptions {
  readonly mesh?: string;
  readonly name?: string;
  readonly account: string;
  readonly host: string;
  readonly port?: string;
  readonly insecure?: boolean;
  readonly authorKey?: boolean;
  readonly profile?: 'edge' | 'lan';
}

/** What the broker's package brings to found a mesh. */
interface Founder {
  createAccount(home: string, name: string): Promise<{ readonly password: string }>;
  createAuthority(home: string, mesh: string): Promise<string>;
}

const help = `
Examples:
  $ foremesh init                                    a mesh on this machine, broker on 127.0.0.1:1883
  $ foremesh init --host 192.168.1.10 --name hub     one that other machines reach, over TLS on port 8883
  $ foremesh init --json | jq -r .connection         the connection string, for a script`;

/** `foremesh init`: the only thing that founds a mesh. */
export const initCommand: CommandModule = {
  name: 'init',
  summary: 'found a mesh: its id, its first node, its first account',
  register(command, context) {
    command
      .option('--mesh <id>', 'id of the mesh (a random one)')
      .option('--name <id>', 'id of this node (after the host)')
      .option('--account <id>', 'the first account', 'owner')
      .option('--host <address>', 'where others will reach the broker', '127.0.0.1')
      .option('--port <number>', 'and on which port (8883 over TLS; 1883 on this machine alone)')
      .option('--insecure', 'no TLS though others reach it: who is on the way reads and changes everything')
      .option('--author-key', 'make a key that signs code for engine node, and let this node run what it signs')
      .addOption(
        new Option('--profile <name>', 'how soon a lost leader is noticed: edge within 15 s, lan within 3').choices([
          'edge',
          'lan',
        ]),
      )
      .addHelpText('after', help)
      .action((options: InitOptions, self: Command) => runInit(options, self, context));
  },
};

async function runInit(options: InitOptions, command: Command, context: CommandContext): Promise<void> {
  const session = new Session(command, context);
  const port = options.port === undefined ? undefined : Number(options.port);
  if (port !== undefined && (!Number.isInteger(port) || port < 1 || port > 65_535)) {
    throw new MeshError('MESH_USAGE', `--port "${options.port}" is not a port`, {
      mend: 'give a number from 1 to 65535',
    });
  }
  if (options.host === '0.0.0.0' || options.host === '::') {
    throw new MeshError('MESH_USAGE', `${options.host} is every address and none that others could reach`, {
      mend: 'give the address of this machine in its network; `foremesh broker --host 0.0.0.0` listens on all of them',
    });
  }
  const broker = await loadOptional('@foremesh/broker/commands');
  if (broker === undefined) {
    throw new MeshError(
      'MESH_NOT_INSTALLED',
      'founding a mesh makes an account at its broker, which is not installed here',
      {
        mend: installCommand('@foremesh/broker'),
      },
    );
  }
  const { createAccount, createAuthority } = broker as unknown as Founder;
  const isSecure = !isLoopback(options.host) && options.insecure !== true;
  const connection = await foundMesh({
    home: session.home,
    account: options.account,
    host: options.host,
    ...(port === undefined ? {} : { port }),
    ...(isSecure ? { createAuthority } : {}),
    createAccount: async (directory, account) => (await createAccount(directory, account)).password,
    ...(options.mesh === undefined ? {} : { mesh: options.mesh }),
    ...(options.name === undefined ? {} : { node: options.name }),
    ...(options.profile === undefined ? {} : { profile: options.profile }),
  });
  if (options.authorKey === true) await trustOwnKey(session.home);
  const text = formatConnection(connection);
  if (session.json) {
    session.printJson({
      mesh: connection.mesh,
      account: connection.account,
      connection: text,
      home: session.home.directory,
    });
    return;
  }
  session.print(
    `mesh ${connection.mesh} founded in ${session.home.directory}`,
    '',
    'start it here:        foremesh up',
    ...(isSecure ? ['invite a device:      foremesh invite'] : []),
    isSecure
      ? `use it from elsewhere: --connection '${text}'`
      : `another node:         foremesh node --join '${text}' --home OTHER`,
    '',
    'The string holds the password of the account; it is kept in the home, readable by you alone.',
  );
}

/** Who founds a mesh and runs its first node is both author and owner there. */
async function trustOwnKey(home: Home): Promise<void> {
  const known = (await listAuthorKeys(home)).find(({ name }) => name === authorDefault);
  const { publicKey: key } = known ?? (await makeAuthorKey(home, authorDefault));
  await changeTrustedAuthors(home, await readTrustedAuthors(home), { add: { key, capabilities: [] } });
}
