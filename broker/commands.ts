import { MeshError } from '@foremesh/node-runtime/contract';
import { accounts } from './account-commands.ts';
import { readAddress } from './home.ts';
import { listeningPlan } from './listening.ts';
import type { BrokerOptions } from './options.ts';
import { up } from './up.ts';

export { createAccount } from './account-file.ts';
export { createAuthority } from './joining/authority.ts';
export { inviteDevice } from './joining/invite.ts';
export { isMember, removeMember } from './joining/members.ts';

/** What this package uses of commander's `Command`, which the `foremesh` command brings. */
export interface CommandLike {
  command(name: string): CommandLike;
  description(text: string): this;
  argument(flags: string, description: string): this;
  addHelpText(position: 'after', text: string): this;
  option(flags: string, description: string, fallback?: string): this;
  /** Called with the arguments, the options, and the command itself. */
  // biome-ignore lint/suspicious/noExplicitAny: how many arguments there are, the command says
  action(run: (...words: any[]) => Promise<void>): this;
  /** The options, and those of the commands around this one, which go first. */
  optsWithGlobals(): Record<string, unknown>;
}

export interface CommandContext {
  /** The home unless `--home` says otherwise. */
  readonly home: string;
}

/** One command of `foremesh`, found at run time. `register` adds options and action to a command that has its name. */
export interface CommandModule {
  readonly name: string;
  readonly summary: string;
  register(command: CommandLike, context: CommandContext): void;
}

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];
/** From a signal to a forced end; `close` itself is bounded below this. */
const exitMs = 10_000;

const broker: CommandModule = {
  name: 'broker',
  summary: 'run the MQTT broker of a mesh on this machine',
  register(command, context) {
    command
      .option('--host <address>', 'address to listen on (what `init` was told; only this machine unless said)')
      .option('--port <number>', 'plain MQTT, on this machine alone; 0 for a free port (what `init` was told; 1883)')
      .option(
        '--tls-port <number>',
        'MQTT, WebSocket and HTTPS over TLS; 0 for a free port (what `init` was told; 8883)',
      )
      .option('--insecure', 'plain MQTT for all who reach --host: they read and change what passes')
      .option('--websocket-port <number>', 'WebSocket port (path /mqtt), 0 for a free one', '8083')
      .option('--no-websocket', 'TCP only')
      .option('--no-announce', 'say nothing by mDNS of where this broker is')
      .option('--home <directory>', 'where accounts, store and blobs are', context.home)
      .option('--meshes <list>', 'meshes whose blobs to hold, with commas; the one of the home unless said')
      .option('--blob-limit <MiB>', 'most blobs to hold; more is refused')
      .option('--sync', 'fsync every message: survives a power cut, wears SD cards')
      .option('--repair-store', 'rebuild a damaged store from what is readable')
      .option('--log-level <level>', levels.join(', '), 'info')
      .option('--json', 'print one JSON line with the ports when ready')
      .action(runBroker);
  },
};

export const commands: readonly CommandModule[] = [up, broker, accounts];

async function runBroker(_options: unknown, command: CommandLike): Promise<void> {
  const options = command.optsWithGlobals();
  const level = String(options.logLevel);
  if (!levels.includes(level)) {
    throw new MeshError('MESH_USAGE', `--log-level "${level}" is unknown`, { mend: `use one of ${levels.join(', ')}` });
  }
  const founded = await readAddress(String(options.home));
  const plan = listeningPlan(
    {
      ...(options.host === undefined ? {} : { host: String(options.host) }),
      ...(options.port === undefined ? {} : { port: wholeNumber(options, 'port', '--port') }),
      ...(options.tlsPort === undefined ? {} : { tlsPort: wholeNumber(options, 'tlsPort', '--tls-port') }),
      insecure: options.insecure === true,
    },
    founded,
  );
  const start: BrokerOptions = {
    home: String(options.home),
    ...plan,
    webSocket:
      options.websocket === false
        ? false
        : { host: plan.listen.host, port: wholeNumber(options, 'websocketPort', '--websocket-port') },
    announce: options.announce !== false,
    syncWrites: options.sync === true,
    repairStore: options.repairStore === true,
    ...(options.meshes === undefined ? {} : { meshes: String(options.meshes).split(',') }),
    ...(options.blobLimit === undefined
      ? {}
      : { blobLimitBytes: wholeNumber(options, 'blobLimit', '--blob-limit') * 1024 ** 2 }),
  };
  const [{ pino }, { startBroker }, { HeapKeeper }] = await Promise.all([
    import('pino'),
    import('./server.ts'),
    import('@foremesh/node-runtime/data'),
  ]);
  // Synchronous, so that the last words before an exit are written.
  const log = pino({ level, base: null }, pino.destination({ dest: 2, sync: true }));
  const running = await startBroker({ ...start, log });
  const heap = new HeapKeeper();
  const { urls, tcpPort, webSocketPort, tlsPort } = running;
  if (options.json === true) {
    process.stdout.write(
      `${JSON.stringify({ ready: true, pid: process.pid, urls, tcpPort, webSocketPort, tlsPort })}\n`,
    );
  } else {
    for (const url of urls) process.stdout.write(`* broker ${url}\n`);
  }
  const signal = await new Promise<string>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve(name));
  });
  log.info({ signal }, 'the broker ends');
  heap.close();
  const forced = setTimeout(() => {
    log.error({}, 'the broker did not end in time');
    process.exit(1);
  }, exitMs);
  await running.close();
  clearTimeout(forced);
}

function wholeNumber(options: Record<string, unknown>, name: string, flag: string): number {
  const text = String(options[name]);
  if (!/^\d{1,9}$/.test(text)) throw new MeshError('MESH_USAGE', `${flag} takes a whole number, not "${text}"`);
  return Number(text);
}
