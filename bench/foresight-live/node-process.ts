/**
 * A node that measures more often than one in earnest. Arguments: home, connection string, name, milliseconds between samples, policy, and of a device its scope;
 * without one it leads, and takes no tasks.
 */
import { parseConnection } from '@foremesh/node-runtime/contract';
import { type NodeOptions, openHome, startNode } from '@foremesh/node-runtime/shell';
import { pino } from 'pino';

const [directory, connection, name, sampleIntervalMs, policy, deviceScope] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  NonNullable<NodeOptions['policy']>,
  string?,
];
const isDevice = deviceScope !== undefined;
const node = await startNode({
  home: openHome(directory, {}),
  connection: parseConnection(connection),
  name,
  slots: isDevice ? 1 : 0,
  preferences: { share: 1 },
  mayLead: !isDevice,
  sampleIntervalMs: Number(sampleIntervalMs),
  policy,
  ...(isDevice ? { deviceScope } : {}),
  log: pino({ level: 'warn' }, process.stderr),
});
await node.online;
process.stdout.write('{"ready":true}\n');
process.once('SIGTERM', () => void node.stop().then(() => process.exit(0)));
