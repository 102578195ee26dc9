import type { Connection, Transport } from '../contract/index.ts';
import { brokerOf, connectMqtt } from '../shell/mqtt-transport.ts';
import type { ConnectOptions } from './mesh-link.ts';

// How a program in Node reaches its broker. In a page `host-browser.ts` takes its place (`browser` of package.json).

/** `url` is a WebSocket, or another address, that is taken in place of what the connection says. */
export function connectBroker(connection: Connection, { url, ...options }: ConnectOptions): Promise<Transport> {
  return connectMqtt({ ...(url === undefined ? brokerOf(connection) : { url }), ...options });
}
