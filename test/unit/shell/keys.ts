import { generateKeyPairSync } from 'node:crypto';
import type { KeyPair } from '../../../node-runtime/shell/identity.ts';

export function keyPair(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return { publicKey: publicKey.export({ format: 'jwk' }).x!, privateKey };
}
