import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect as connectSocket, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type BrokerOptions, createAccount, type RunningBroker, startBroker } from '@foremesh/broker';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import mqttPacket, { type IConnectPacket } from 'mqtt-packet';
import { later, scratch } from '../../unit/shell/scratch.ts';

export { endAll } from '../../unit/shell/scratch.ts';

/** Account of every test; made once per home. */
export const account = { username: 'tester', password: 'correct horse battery' };

export async function makeHome(): Promise<string> {
  const home = await scratch();
  await createAccount(home, account.username, account.password);
  return home;
}

export interface LogLine {
  readonly kind?: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

export interface TestBroker extends RunningBroker {
  readonly home: string;
  readonly lines: LogLine[];
  readonly url: string;
}

/** A broker in this process on free ports. */
export async function makeBroker(options: Partial<BrokerOptions> = {}): Promise<TestBroker> {
  const home = options.home ?? (await makeHome());
  const lines: LogLine[] = [];
  const take = (fields: object, message: string) => lines.push({ ...fields, message });
  const broker = await startBroker({
    listen: { port: 0 },
    webSocket: false,
    log: { info: take, warn: take, error: take },
    ...options,
    home,
  });
  later(() => broker.close());
  return { ...broker, home, lines, url: broker.urls[0]! };
}

export interface TestClient {
  readonly client: MqttClient;
  /** Everything that arrived. */
  readonly messages: { topic: string; text: string; retain: boolean; qos: number; dup: boolean }[];
}

export async function makeClient(url: string, options: IClientOptions = {}): Promise<TestClient> {
  const client = mqtt.connect(url, { ...account, reconnectPeriod: 0, ...options });
  later(() => client.endAsync(true));
  const messages: TestClient['messages'] = [];
  client.on('message', (topic, payload, { retain, qos, dup }) => {
    messages.push({ topic, text: payload.toString(), retain, qos, dup });
  });
  client.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    client.once('connect', () => resolve());
    client.once('error', reject);
    client.once('close', () => reject(new Error('closed before it connected')));
  });
  return { client, messages };
}

/** The CONNACK return code with which a login is refused, or 0. */
export async function loginCode(url: string, options: IClientOptions): Promise<number> {
  try {
    const { client } = await makeClient(url, options);
    await client.endAsync(true);
    return 0;
  } catch (error) {
    return (error as { code?: number }).code ?? -1;
  }
}

/** `once` would reject on the reset that a dropped client may meet. */
export function whenClosed(client: MqttClient): Promise<void> {
  return new Promise((resolve) => client.once('close', () => resolve()));
}

export interface RawPeer {
  readonly socket: Socket;
  readonly received: () => Buffer;
  /** Resolves when the broker has ended the connection. */
  readonly ended: Promise<void>;
}

/** What a peer sends first: it logs in. */
export function loginBytes(change: Partial<IConnectPacket> = {}): Buffer {
  return mqttPacket.generate({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 4,
    clean: true,
    clientId: 'raw',
    keepalive: 0,
    username: account.username,
    password: Buffer.from(account.password),
    ...change,
  });
}

/** A peer that sends what bytes it likes. */
export async function rawPeer(port: number): Promise<RawPeer> {
  const socket = connectSocket(port, '127.0.0.1');
  later(() => socket.destroy());
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => undefined);
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await once(socket, 'connect');
  return { socket, received: () => Buffer.concat(chunks), ended };
}

const processFile = fileURLToPath(new URL('./broker-process.ts', import.meta.url));
const frozenFile = fileURLToPath(new URL('./subscriber-process.ts', import.meta.url));

function spawnTypeScript(file: string, args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, ['--conditions=mesh-source', '--import', 'tsx', file, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  later(() => child.kill('SIGKILL'));
  return child;
}

export interface BrokerProcess {
  readonly child: ChildProcess;
  readonly url: string;
  readonly stderr: () => string;
  /** Kills it at once and waits until it is gone. */
  kill(signal: NodeJS.Signals): Promise<number | null>;
}

/** `foremesh broker` in a process of its own. */
export async function spawnBroker(home: string, args: readonly string[] = []): Promise<BrokerProcess> {
  const child = spawnTypeScript(processFile, ['--home', home, '--port', '0', '--no-websocket', '--json', ...args]);
  let stderr = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const line = await Promise.race([firstLine(child), exited.then(() => undefined)]);
  if (line === undefined) throw new Error(`the broker ended: ${stderr}`);
  const { tcpPort } = JSON.parse(line) as { tcpPort: number };
  return {
    child,
    url: `mqtt://127.0.0.1:${tcpPort}`,
    stderr: () => stderr,
    async kill(signal) {
      child.kill(signal);
      return (await exited)[0];
    },
  };
}

/** A subscriber in a process of its own, connected and subscribed when this resolves. */
export async function spawnSubscriber(url: string, filter: string): Promise<ChildProcess> {
  const child = spawnTypeScript(frozenFile, [url, account.username, account.password, filter]);
  await firstLine(child);
  return child;
}

async function firstLine(child: ChildProcess): Promise<string> {
  const lines = createInterface({ input: child.stdout! });
  const [line] = (await once(lines, 'line')) as [string];
  lines.close();
  child.stdout!.resume();
  return line;
}
