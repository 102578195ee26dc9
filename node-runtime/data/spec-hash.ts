import { bytesOf, canonicalJson, hexOf, type JobSpec } from '../contract/index.ts';
import { sha256 } from './hash.ts';

/**
 * What names a spec: SHA-256 (hex) of the canonical JSON of the spec as `jobSpec.parse` gives it, shorthands expanded.
 * Client and leader compute it alike, so `20s` and `20` are the same estimate.
 */
export function specHashOf(spec: JobSpec): string {
  return hexOf(sha256(bytesOf(canonicalJson(spec))));
}
