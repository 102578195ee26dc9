import { parseConnection } from '@foremesh/node-runtime/contract';
import { openHome, startNode } from '@foremesh/node-runtime/shell';
import { pino } from 'pino';

/** A node that can lead, measures faster than one in earnest and learns from less. Arguments: home, connection string, name, sample interval, model, windows. */
const [directory, connectionString, name, sampleIntervalMs, model, windowsLeast] = process.argv.slice(2) as string[];
const node = await startNode({
  home: openHome(directory!, {}),
  connection: parseConnection(connectionString!),
  name: name!,
  slots: 0,
  sampleIntervalMs: Number(sampleIntervalMs),
  learning: {
    model: model as 'ridge' | 'lstm',
    lags: 12,
    windowsLeast: Number(windowsLeast),
    lookEveryMs: 200,
    updates: 60,
  },
  log: pino({ level: 'info' }, process.stdout),
});
await node.online;
process.stdout.write('online\n');
process.once('SIGTERM', () => void node.stop().then(() => process.exit(0)));
