import { createHash } from 'node:crypto';

/**
 * Keys and signatures that look like real ones and are made by hashing: nobody forges here, so that they need not be hard to
 * forge; but what is not signed, or by another, does not verify.
 */
export const meshId = publicKeyOf('n0');

export function publicKeyOf(node: string): string {
  return createHash('sha256').update(`key of ${node}`).digest('base64url');
}

export function sign(publicKey: string, statement: Uint8Array): string {
  return createHash('sha512').update(publicKey).update(statement).digest('base64url');
}

export function verify(publicKey: string, statement: Uint8Array, signature: string): boolean {
  return sign(publicKey, statement) === signature;
}

export function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}
