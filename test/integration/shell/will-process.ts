import { connectMqtt } from '../../../node-runtime/shell/mqtt-transport.ts';

/** Connects with a will and waits to be killed. Arguments: url, account, password, topic of the will. */
const [url, username, password, topic] = process.argv.slice(2) as [string, string, string, string];
await connectMqtt({
  url,
  clientId: 'to-be-killed',
  username,
  password,
  will: { topic, payload: Buffer.from('gone'), qos: 1, retain: true },
});
process.stdout.write('connected\n');
