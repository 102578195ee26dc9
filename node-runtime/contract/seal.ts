import { checkLimit } from './errors.ts';
import { limits } from './limits.ts';
import { bytesOf, joinedBytes, textOf } from './text.ts';

// Bytes have many spellings in base64url when the last character may hold bits that mean nothing: only the one without.
const key = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;
const signature = /^[A-Za-z0-9_-]{85}[AQgw]$/;
const seal = /^\n"([A-Za-z0-9_-]{85}[AQgw])"$/;

/** 32 bytes in base64url: an Ed25519 public key. It is an identifier too. */
export function isPublicKey(text: string): boolean {
  return key.test(text);
}

/** 64 bytes in base64url: an Ed25519 signature. */
export function isSignature(text: string): boolean {
  return signature.test(text);
}

export interface Sealed {
  readonly body: Uint8Array;
  readonly signature: string;
}

/**
 * What the signature of a sealed payload is over. It names the mesh and the topic, so that nothing that was said in one
 * place can be said again in another. Neither can hold a newline.
 */
export function sealStatement(meshId: string, topic: string, body: Uint8Array): Uint8Array {
  return joinedBytes([bytesOf(`foremesh message v1\n${meshId}\n${topic}\n`), body]);
}

/**
 * A sealed payload: the body, a newline, and the signature as a JSON string. A JSON body stays readable, line by line or
 * with `jq`; whoever knows no keys reads `bodyOf`. Throws `MESH_LIMIT_EXCEEDED` when it is larger than a payload.
 */
export function joinSeal(body: Uint8Array, signature: string): Uint8Array {
  checkLimit('payloadBytes with its seal', body.length + limits.sealBytes, limits.payloadBytes);
  return joinedBytes([body, bytesOf(`\n"${signature}"`)]);
}

/** Undefined when the payload has no seal. */
export function splitSeal(payload: Uint8Array): Sealed | undefined {
  const at = payload.length - limits.sealBytes;
  if (at < 1) return undefined;
  const [, signature] = seal.exec(textOf(payload.subarray(at))) ?? [];
  return signature === undefined ? undefined : { body: payload.subarray(0, at), signature };
}

/** The body of a payload, sealed or not; the seal is not checked. */
export function bodyOf(payload: Uint8Array): Uint8Array {
  return splitSeal(payload)?.body ?? payload;
}
