import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { MeshError } from '../contract/index.ts';
import { writeDurably } from './durable-file.ts';

/** The Ed25519 key pair of a node: it signs what the node says. */
export interface KeyPair {
  /** The 32 raw bytes in base64url: by this the mesh knows the node. */
  readonly publicKey: string;
  readonly privateKey: KeyObject;
}

/** Undefined when there is none yet. Throws `MESH_IDENTITY_DAMAGED` when it is no key, `MESH_STORAGE_FAILED` when unreadable. */
export async function readKey(file: string): Promise<KeyPair | undefined> {
  let pem: string;
  try {
    pem = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    const message = `cannot read the key: ${(error as Error).message}`;
    throw new MeshError('MESH_STORAGE_FAILED', message, { where: file, cause: error });
  }
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(pem);
  } catch (error) {
    throw damagedKey(file, 'the private key of this node is damaged', error);
  }
  if (privateKey.asymmetricKeyType !== 'ed25519') {
    throw damagedKey(file, `the key of this node is of type ${privateKey.asymmetricKeyType}, not ed25519`);
  }
  return pairOf(privateKey);
}

/** A new key, on disk before this resolves; readable by its owner alone. */
export async function makeKey(file: string): Promise<KeyPair> {
  const { privateKey } = generateKeyPairSync('ed25519');
  await writeDurably(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), 0o600);
  return pairOf(privateKey);
}

/** A new key in its place would be another node: that is for a person to decide. */
export function damagedKey(file: string, message: string, cause?: unknown): MeshError {
  const mend = 'put it back from a backup; or remove node.json and node.key, to join again under a new id';
  return new MeshError('MESH_IDENTITY_DAMAGED', message, { where: file, mend, cause });
}

function pairOf(privateKey: KeyObject): KeyPair {
  return { publicKey: createPublicKey(privateKey).export({ format: 'jwk' }).x!, privateKey };
}
