import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type RunningBroker, startBroker } from '@foremesh/broker';
import type { Transport } from '@foremesh/node-runtime/contract';
import { connectMqtt, type MqttConnectOptions } from '../../../node-runtime/shell/mqtt-transport.ts';
import { later } from '../../unit/shell/scratch.ts';
import { account, makeHome } from '../broker/support.ts';

export { until } from '../../support/until.ts';
export * from '../../unit/shell/scratch.ts';
export { account, makeHome };

export async function makeBroker(home?: string, port = 0): Promise<RunningBroker> {
  const options = {
    home: home ?? (await makeHome()),
    listen: { host: '127.0.0.1', port },
    webSocket: false,
  } as const;
  const broker = await startBroker(options);
  later(() => broker.close());
  return broker;
}

let clients = 0;

export async function makeTransport(url: string, options: Partial<MqttConnectOptions> = {}): Promise<Transport> {
  clients += 1;
  const transport = await connectMqtt({ url, clientId: `test-${clients}`, ...account, ...options });
  later(() => transport.close());
  return transport;
}

export interface Heard {
  readonly topic: string;
  readonly text: string;
}

/** Everything that arrives on a filter. */
export async function hearAll(transport: Transport, filter: string): Promise<Heard[]> {
  const heard: Heard[] = [];
  transport.listen((topic, payload) => heard.push({ topic, text: Buffer.from(payload).toString() }));
  await transport.subscribe([filter], 1);
  return heard;
}

/** A process of the tests' own, its standard output line by line. */
export interface Child {
  readonly process: ChildProcess;
  readonly lines: string[];
  /** Kills it and waits until it is gone. */
  kill(signal: NodeJS.Signals): Promise<void>;
}

export function spawnScript(name: string, ...args: string[]): Child {
  const file = fileURLToPath(new URL(name, import.meta.url));
  const child = spawn(process.execPath, ['--conditions=mesh-source', '--import', 'tsx', file, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  later(() => child.kill('SIGKILL'));
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout });
  reader.on('line', (line) => lines.push(line));
  const gone = Promise.all([once(child, 'exit'), once(reader, 'close')]);
  return {
    process: child,
    lines,
    async kill(signal) {
      child.kill(signal);
      await gone;
    },
  };
}
