import { createPrivateKey, createPublicKey, KeyObject, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Connection, MeshError, type Transport } from '../contract/index.ts';
import { brokerOf, connectMqtt } from '../shell/mqtt-transport.ts';
import type { ConnectOptions } from './mesh-link.ts';
import type { AuthorSigner } from './sign-code.ts';

// How a program in Node reaches its broker and signs code. In a page `host-browser.ts` takes its place (`browser` of package.json).

/** `url` is a WebSocket, or another address, that is taken in place of what the connection says. */
export function connectBroker(connection: Connection, { url, ...options }: ConnectOptions): Promise<Transport> {
  return connectMqtt({ ...(url === undefined ? brokerOf(connection) : { url }), ...options });
}

/** A private Ed25519 key: the path of its file (PEM, as `foremesh keys` makes them), or the key as Node has it. */
export type AuthorKeySource = string | KeyObject;

/** Throws `MESH_KEY_UNKNOWN` when there is no such file, `MESH_CONFIG_INVALID` when it is no such key. */
export function openAuthorKey(source: AuthorKeySource): AuthorSigner {
  const privateKey = source instanceof KeyObject ? source : readPrivateKey(source);
  if (privateKey.asymmetricKeyType !== 'ed25519' || privateKey.type !== 'private') {
    const found = `${privateKey.type} key of type ${privateKey.asymmetricKeyType ?? 'none'}`;
    throw noKey(`this is a ${found}, and not a private one of type ed25519`, source);
  }
  const publicKey = createPublicKey(privateKey).export({ format: 'jwk' }).x!;
  return { publicKey, sign: (statement) => sign(null, statement, privateKey).toString('base64url') };
}

function readPrivateKey(file: string): KeyObject {
  let pem: string;
  try {
    pem = readFileSync(file, 'utf8');
  } catch (error) {
    const mend = 'the keys of a home are in its folder `keys`: `foremesh keys new` makes one, keys/author.key';
    const message = `cannot read the key: ${(error as Error).message}`;
    throw new MeshError('MESH_KEY_UNKNOWN', message, { where: file, mend, cause: error });
  }
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw noKey('the file holds no private key', file, error);
  }
}

function noKey(message: string, source: AuthorKeySource, cause?: unknown): MeshError {
  const where = typeof source === 'string' ? { where: source } : {};
  const mend = '`foremesh keys new` makes one; its file is keys/NAME.key in the home';
  return new MeshError('MESH_CONFIG_INVALID', message, { ...where, mend, cause });
}
