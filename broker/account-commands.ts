import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Connection, formatConnection, MeshError, parseConnection } from '@foremesh/node-runtime/contract';
import { type Role, roles } from './access.ts';
import { accountsPath, createAccount, listAccounts, removeAccount, unknownAccount } from './account-file.ts';
import type { CommandLike, CommandModule } from './commands.ts';
import { replaceFile } from './home-file.ts';
import { brokerLimits } from './limits.ts';

const stdinFlag = ['--stdin', 'read the password from standard input; one is drawn unless said'] as const;
const jsonFlag = ['--json', 'print JSON'] as const;

const examples = `
Examples, on the machine that runs the broker:
  foremesh accounts add ann                              an author: runs its own jobs, sees no others'
  foremesh accounts add dashboard --role viewer
  foremesh accounts add ann --json | jq -r .connection   the string for --connection or $FOREMESH_CONNECTION
  foremesh accounts password ann --stdin < secret.txt
  foremesh accounts remove ann
`;

/** `foremesh accounts`: who may log in at the broker of this home. It changes a file that a running broker watches. */
export const accounts: CommandModule = {
  name: 'accounts',
  summary: 'make, list and remove accounts at the broker of this home',
  register(command, context) {
    command.addHelpText('after', examples);
    const add = (name: string, summary: string) =>
      command
        .command(name)
        .description(summary)
        .option('--home <directory>', 'the home of the broker', context.home)
        .option(...jsonFlag);
    add('add', 'make an account, and print its connection string once')
      .argument('<name>', 'of the account')
      .option('--role <role>', 'owner: everything; author: its own jobs; viewer: only look', 'author')
      .option(...stdinFlag)
      .action((name: string, _options: unknown, self: CommandLike) => addAccount(name, self.optsWithGlobals()));
    add('list', 'show the accounts and what each may do').action((_options: unknown, self: CommandLike) =>
      showAccounts(self.optsWithGlobals()),
    );
    add('password', 'give an account another password, and print its connection string once')
      .argument('<name>', 'of the account')
      .option(...stdinFlag)
      .action((name: string, _options: unknown, self: CommandLike) => changePassword(name, self.optsWithGlobals()));
    add('remove', 'remove an account; what is connected with it is disconnected')
      .argument('<name>', 'of the account')
      .action((name: string, _options: unknown, self: CommandLike) => remove(name, self.optsWithGlobals()));
  },
};

type Options = Record<string, unknown>;

async function addAccount(name: string, options: Options): Promise<void> {
  const home = homeOf(options);
  const role = String(options.role) as Role;
  if (!roles.includes(role)) {
    throw new MeshError('MESH_USAGE', `--role "${role}" is unknown`, { mend: `use one of ${roles.join(', ')}` });
  }
  if (await isKnown(home, name)) {
    throw new MeshError('MESH_CONFIG_INVALID', `there is an account "${name}" already`, {
      where: accountsPath(home),
      mend: `\`foremesh accounts password ${name}\` gives it another password`,
    });
  }
  const { password } = await createAccount(home, name, await givenPassword(options), role);
  await tellSecret(home, { account: name, role, password }, options, `account ${name} made: ${role}`);
}

async function changePassword(name: string, options: Options): Promise<void> {
  const home = homeOf(options);
  if (!(await isKnown(home, name))) throw unknownAccount(name, accountsPath(home));
  const { password } = await createAccount(home, name, await givenPassword(options));
  const connection = await connectionOf(home);
  const isOurs = connection?.account === name;
  if (isOurs) await replaceFile(connectionPath(home), `${formatConnection({ ...connection, password })}\n`);
  const more = isOurs
    ? ['The string in this home is changed too. Restart what runs with the old one, and give devices the new one.']
    : [];
  await tellSecret(home, { account: name, password }, options, `account ${name} has another password`, more);
}

async function showAccounts(options: Options): Promise<void> {
  const found = await listAccounts(homeOf(options));
  if (options.json === true) return say(JSON.stringify({ accounts: found }));
  const columns = Math.max('ACCOUNT'.length, ...found.map(({ name }) => name.length)) + 2;
  say(...[{ name: 'ACCOUNT', role: 'ROLE' }, ...found].map(({ name, role }) => name.padEnd(columns) + role));
}

async function remove(name: string, options: Options): Promise<void> {
  const home = homeOf(options);
  if ((await connectionOf(home))?.account === name) {
    throw new MeshError('MESH_CONFIG_INVALID', `"${name}" is the account that this machine itself connects with`, {
      where: connectionPath(home),
      mend: 'put the connection string of another owner there first',
    });
  }
  await removeAccount(home, name);
  if (options.json === true) say(JSON.stringify({ account: name, removed: true }));
  else say(`account ${name} removed; what was connected with it is disconnected. Its jobs go on`);
}

/** Throws `MESH_CONFIG_INVALID` where no broker has been: an account there would let nobody in. */
function homeOf(options: Options): string {
  const home = String(options.home);
  const signs = [accountsPath(home), join(home, 'mesh.json'), join(home, 'broker')];
  if (signs.some((path) => existsSync(path))) return home;
  throw new MeshError('MESH_CONFIG_INVALID', 'this is not the home of a broker', {
    where: home,
    mend: 'accounts are made on the machine that runs the broker; --home names another home',
  });
}

async function isKnown(home: string, name: string): Promise<boolean> {
  return (await listAccounts(home)).some((account) => account.name === name);
}

/** The first line of standard input: what stands in an argument can be read by all users of the machine. */
async function givenPassword(options: Options): Promise<string | undefined> {
  if (options.stdin !== true) return undefined;
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    text += chunk;
    if (text.length > brokerLimits.passwordBytes || text.includes('\n')) break;
  }
  return text.split(/\r?\n/, 1)[0]!;
}

function connectionPath(home: string): string {
  return join(home, 'connection');
}

/** How this machine itself reaches its broker; undefined where no mesh was founded. */
async function connectionOf(home: string): Promise<Connection | undefined> {
  const path = connectionPath(home);
  return existsSync(path) ? parseConnection(await readFile(path, 'utf8'), path) : undefined;
}

interface Secret {
  readonly account: string;
  readonly role?: Role;
  readonly password: string;
}

async function tellSecret(
  home: string,
  secret: Secret,
  options: Options,
  done: string,
  more: readonly string[] = [],
): Promise<void> {
  const { account, password } = secret;
  const known = await connectionOf(home);
  const connection = known && formatConnection({ ...known, account, password });
  if (options.json === true) return say(JSON.stringify({ ...secret, connection }));
  say(done, '', connection ?? `password: ${password}`, '');
  say('It holds the password, which is shown this once.', ...more);
}

function say(...lines: readonly string[]): void {
  for (const line of lines) process.stdout.write(`${line}\n`);
}
