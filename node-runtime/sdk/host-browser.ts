import mqtt from 'mqtt';
import { addressesOf, addressText, type Connection, MeshError, type Transport } from '../contract/index.ts';
import { handshake, sessionOptions } from '../shell/mqtt-session.ts';
import type { ConnectOptions } from './mesh-link.ts';
import type { AuthorSigner } from './sign-code.ts';

/** Where a broker of ours listens for WebSockets without TLS, unless it was told otherwise. */
const webSocketPort = 8083;

/**
 * How a page reaches its broker: over a WebSocket. With `ca` in the connection it is `wss:` on the port of each address,
 * else `ws:` on port 8083, unless `url` says where. Whether the certificate is good the browser decides: a page is
 * not told which one it was, so the fingerprint of the CA cannot be compared.
 */
export async function connectBroker(connection: Connection, { url, ...options }: ConnectOptions): Promise<Transport> {
  const urls = url === undefined ? webSocketsOf(connection) : [url];
  let last: unknown;
  for (const each of urls) {
    try {
      return await handshake(mqtt.connect(each, sessionOptions(options)), each);
    } catch (error) {
      if (error instanceof MeshError && error.code === 'MESH_NOT_AUTHORIZED') throw error;
      last = error;
    }
  }
  throw last;
}

/** A page signs nothing: whoever has its source would have the key. Throws `MESH_USAGE`. */
export function openAuthorKey(): AuthorSigner {
  throw new MeshError('MESH_USAGE', 'a page signs no code: whoever reads its source would have the key', {
    mend: 'sign in Node, `mesh.sign(spec)`, and submit what that gives from anywhere',
  });
}

function webSocketsOf(connection: Connection): string[] {
  const secured = connection.ca !== undefined;
  return addressesOf(connection).map(({ host, port }) =>
    secured ? `wss://${addressText({ host, port })}/mqtt` : `ws://${addressText({ host, port: webSocketPort })}/mqtt`,
  );
}
