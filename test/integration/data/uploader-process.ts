// An uploader in a process of its own, to be killed: <broker url> <file>. Says "done" once the file is held.
import { Topics } from '@foremesh/node-runtime/contract';
import { BlobClient } from '@foremesh/node-runtime/data';
import { connectMqtt } from '../../../node-runtime/shell/mqtt-transport.ts';

const [url, file] = process.argv.slice(2) as [string, string];
const transport = await connectMqtt({ url, clientId: `uploader-${process.pid}` });
const client = new BlobClient({
  transport: () => transport,
  topics: new Topics('test'),
  requester: 'uploader',
  holders: ['box'],
});
process.stdout.write('ready\n');
await client.put(file);
process.stdout.write('done\n');
