/** A node that measures more often than one in earnest. Arguments: home, connection string, name, milliseconds between samples, device scope, policy. */
import { parseConnection } from '@foremesh/node-runtime/contract';
import { type NodeOptions, openHome, startNode } from '@foremesh/node-runtime/shell';
import { pino } from 'pino';

const [directory, connection, name, sampleIntervalMs, deviceScope, policy] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
  NonNullable<NodeOptions['policy']>,
];
const node = await startNode({
  home: openHome(directory, {}),
  connection: parseConnection(connection),
  name,
  slots: name === 'hub' ? 0 : 1,
  preferences: { share: 1 },
  mayLead: name === 'hub',
  sampleIntervalMs: Number(sampleIntervalMs),
  policy,
  ...(name === 'hub' ? {} : { deviceScope }),
  log: pino({ level: 'warn' }, process.stderr),
});
await node.online;
process.stdout.write('{"ready":true}\n');
process.once('SIGTERM', () => void node.stop().then(() => process.exit(0)));
