import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { joinSeal, MeshError, sealStatement, splitSeal } from '../contract/index.ts';
import { RecentMap } from '../data/recent-map.ts';
import type { KeyPair } from './identity.ts';

/** Making a key of its text costs as much as a signature: those of this many nodes are kept. */
const keysKept = 1_024;
const keys = new RecentMap<KeyObject>(keysKept);

/** Signs what one node says in one mesh. */
export class Signer {
  readonly publicKey: string;
  readonly meshId: string;
  readonly #privateKey: KeyObject;

  constructor({ publicKey, privateKey }: KeyPair, meshId: string) {
    this.publicKey = publicKey;
    this.meshId = meshId;
    this.#privateKey = privateKey;
  }

  /** The payload for this topic. Throws `MESH_LIMIT_EXCEEDED` when the seal has no room in it. */
  seal(body: Uint8Array, topic: string): Uint8Array {
    return joinSeal(body, this.sign(sealStatement(this.meshId, topic, body)));
  }

  /** For statements of the contract: a vote, a link of voters. */
  sign(statement: Uint8Array): string {
    return sign(null, statement, this.#privateKey).toString('base64url');
  }
}

/** The body of what the owner of this key published on this topic of this mesh. Throws `MESH_SIGNATURE_INVALID`. */
export function openSeal(payload: Uint8Array, meshId: string, topic: string, publicKey: string): Uint8Array {
  const sealed = splitSeal(payload);
  if (sealed === undefined) {
    throw new MeshError('MESH_SIGNATURE_INVALID', 'the message is not signed', {
      mend: 'only nodes of the mesh write here; a node of an older release has to be updated',
    });
  }
  if (!isSignedBy(publicKey, sealStatement(meshId, topic, sealed.body), sealed.signature)) {
    throw new MeshError('MESH_SIGNATURE_INVALID', `the message is not by the node whose key is ${publicKey}`, {
      mend: 'somebody else writes under its name, or says again what was said elsewhere: look who has an account',
    });
  }
  return sealed.body;
}

/** Whether the owner of this key signed this statement. */
export function isSignedBy(publicKey: string, statement: Uint8Array, signature: string): boolean {
  try {
    return verify(null, statement, keyOf(publicKey), Buffer.from(signature, 'base64url'));
  } catch {
    return false; // what is no key has signed nothing
  }
}

function keyOf(publicKey: string): KeyObject {
  const known = keys.get(publicKey);
  if (known !== undefined) return known;
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: publicKey }, format: 'jwk' });
  keys.set(publicKey, key);
  return key;
}
