import { parseConnection } from '@foremesh/node-runtime/contract';
import { openHome, startNode } from '@foremesh/node-runtime/shell';
import { pino } from 'pino';

/** A node that can lead, measures faster than one in earnest and learns from less. Arguments: home, connection string, name, sample interval. */
const [directory, connectionString, name, sampleIntervalMs] = process.argv.slice(2) as string[];
const node = await startNode({
  home: openHome(directory!, {}),
  connection: parseConnection(connectionString!),
  name: name!,
  slots: 0,
  sampleIntervalMs: Number(sampleIntervalMs),
  // Without what TensorFlow.js needs, as on most devices.
  learning: { model: 'ridge', lags: 12, windowsLeast: 60, lookEveryMs: 200 },
  log: pino({ level: 'info' }, process.stdout),
});
await node.online;
process.stdout.write('online\n');
process.once('SIGTERM', () => void node.stop().then(() => process.exit(0)));
