// A holder in a process of its own, to be killed: <broker url> <directory>. Says "ready" once it serves.
import { Topics } from '@foremesh/node-runtime/contract';
import { BlobHolder, BlobStore } from '@foremesh/node-runtime/data';
import { connectMqtt } from '../../../node-runtime/shell/mqtt-transport.ts';

const [url, directory] = process.argv.slice(2) as [string, string];
const store = await BlobStore.open(directory);
const holder = new BlobHolder({ store, topics: new Topics('test'), holder: 'box' });
await holder.attach(await connectMqtt({ url, clientId: `box-${process.pid}` }));
process.stdout.write('ready\n');
