import { parseConnection } from '@foremesh/node-runtime/contract';
import { openHome, startNode } from '@foremesh/node-runtime/shell';
import { pino } from 'pino';

/** A node that samples faster than one in earnest. Arguments: home, connection string, name, sample interval, device scope. */
const [directory, connectionString, name, sampleIntervalMs, deviceScope] = process.argv.slice(2) as string[];
const connection = parseConnection(connectionString!);
const node = await startNode({
  home: openHome(directory!, {}),
  connection,
  name: name!,
  slots: 0,
  mayLead: name === 'ada', // the founder of every mesh here
  sampleIntervalMs: Number(sampleIntervalMs),
  ...(deviceScope === undefined ? {} : { deviceScope }),
  log: pino({ level: 'warn' }, process.stderr),
});
await node.online;
process.stdout.write('online\n');
process.once('SIGTERM', () => void node.stop().then(() => process.exit(0)));
