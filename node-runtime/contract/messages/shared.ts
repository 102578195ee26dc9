import * as z from 'zod';
import { limits } from '../limits.ts';
import { isPublicKey, isSignature } from '../seal.ts';
import { isIdentifier } from '../topics.ts';

/** `pattern` is for the JSON Schemas that are made of these: what a function checks is not in there by itself. */
export const identifier = z
  .string()
  .refine(isIdentifier, { error: `must be 1 to ${limits.identifierCharacters} of A-Z a-z 0-9 _ -` })
  .meta({ pattern: `^[A-Za-z0-9_-]{1,${limits.identifierCharacters}}$` });
export const version = z.literal(1);
export const fraction = z.number().min(0).max(1);
export const count = z.number().int().min(0);
export const bytes = z
  .custom<Uint8Array>((value) => value instanceof Uint8Array, { error: 'must be a byte string' })
  .meta({ title: 'a byte string of CBOR' });
export const publicKey = z
  .string()
  .refine(isPublicKey, { error: 'must be an Ed25519 public key in base64url' })
  .meta({ pattern: '^[A-Za-z0-9_-]{43}$' });
export const signature = z
  .string()
  .refine(isSignature, { error: 'must be an Ed25519 signature in base64url' })
  .meta({ pattern: '^[A-Za-z0-9_-]{86}$' });
export const blobName = z
  .string()
  .regex(/^sha256-[0-9a-f]{64}$/, { error: 'must be sha256- and 64 hexadecimal digits' });

/** Where bytes are. Up to `wholeBlobBytes` the name is the hash of the bytes, above it is the hash of the manifest. */
export const dataReference = z.object({ blob: blobName, sizeBytes: count.max(limits.blobBytes) });
export type DataReference = z.infer<typeof dataReference>;

/** `<account>/<job>/<task>#<term>.<n>`: one attempt, unique over the life of the mesh. */
export const attemptKey = z
  .string()
  .max(260)
  .regex(/^[\w-]+\/[\w-]+\/[\w-]+#\d+\.\d+$/, { error: 'must be account/job/task#term.n' });

/** The end of what an attempt has logged: text in UTF-8, a line each. */
export const logReference = z.object({ blob: blobName, sizeBytes: count.max(limits.logTailBytes) });

export const encodingOfOutput = z.enum(['json', 'text', 'bytes']);
/** What a task gave: JSON (UTF-8), text (UTF-8) or bytes, inline when small. */
export const output = z.union([
  z.object({ encoding: encodingOfOutput, inline: bytes }),
  z.object({ encoding: encodingOfOutput, ...dataReference.shape }),
]);
export type Output = z.infer<typeof output>;

export const engineName = z.enum(['js', 'wasm', 'node']);
export type EngineName = z.infer<typeof engineName>;

export const splitBy = z.enum(['lines', 'items', 'files', 'bytes']);
/**
 * How bytes become records: `lines` ends at \n, \r\n or \r; `items` are the elements of a top-level JSON array; `files` are
 * those of a tar archive; `bytes` are blocks of a size that the stage says.
 */
export type SplitBy = z.infer<typeof splitBy>;
/** Those that have to be looked for in the bytes: where blocks begin, arithmetic knows. */
export const indexedBy = splitBy.exclude(['bytes']);
export type IndexedBy = z.infer<typeof indexedBy>;

/** What one task may use. */
export const taskLimits = z.object({
  memoryBytes: count,
  cpuMs: count,
  wallMs: count,
  outputBytes: count,
});
export type TaskLimits = z.infer<typeof taskLimits>;

/** What one attempt used. */
export const usage = z.object({
  cpuMs: z.number().min(0),
  wallMs: z.number().min(0),
  peakMemoryBytes: count,
  inputBytes: count,
  outputBytes: count,
});
export type Usage = z.infer<typeof usage>;
