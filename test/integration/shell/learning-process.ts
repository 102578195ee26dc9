import { parseConnection } from '@foremesh/node-runtime/contract';
import { openHome, startNode } from '@foremesh/node-runtime/shell';
import { pino } from 'pino';
import { rememberPast } from './past.ts';

/**
 * A node that can lead, with a past that it remembers, which measures faster than one in earnest. Arguments: home, connection string, name, sample
 * interval, steps of the past, and how it learns (`LearningOptions`, as JSON).
 */
const [directory, connectionString, name, sampleIntervalMs, pastSteps, learning] = process.argv.slice(2) as string[];
const home = openHome(directory!, {});
const intervalMs = Number(sampleIntervalMs);
await rememberPast(home.historyDirectory, { sampleIntervalMs: intervalMs, steps: Number(pastSteps) });
const node = await startNode({
  home,
  connection: parseConnection(connectionString!),
  name: name!,
  slots: 0,
  sampleIntervalMs: intervalMs,
  learning: JSON.parse(learning!),
  log: pino({ level: 'info' }, process.stdout),
});
await node.online;
process.stdout.write('online\n');
process.once('SIGTERM', () => void node.stop().then(() => process.exit(0)));
