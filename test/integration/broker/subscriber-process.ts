// A subscriber that only reads, to be frozen by SIGSTOP. Arguments: url, account, password, filter.
import mqtt from 'mqtt';

const [url, username, password, filter] = process.argv.slice(2) as [string, string, string, string];
const client = await mqtt.connectAsync(url, { username, password, clientId: 'frozen', reconnectPeriod: 0 });
await client.subscribeAsync(filter, { qos: 0 });
client.on('error', () => undefined);
process.stdout.write('subscribed\n');
