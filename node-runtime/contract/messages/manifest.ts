import * as z from 'zod';
import { canonicalJson } from '../canonical.ts';
import { limits } from '../limits.ts';
import { bytesOf } from '../text.ts';
import { blobName, count, dataReference, engineName, identifier, publicKey, signature, taskLimits } from './shared.ts';

/** What code may do beyond reading its input: `network`, the machine's own. */
export const capability = z.enum(['network']);
export type Capability = z.infer<typeof capability>;

/** What an author says of code that runs outside the sandbox of WebAssembly (engine `node`). */
export const codeManifest = z.strictObject({
  v: z.literal(1),
  /** The code's blob: the SHA-256 of its bytes, or of its chunks' hashes when it is larger than `wholeBlobBytes`. */
  code: blobName,
  /** The same name and key: newer and older versions of one thing. */
  name: identifier,
  /** A node that has accepted a version of a name accepts no lower one any more. */
  version: count.min(1),
  /** Milliseconds since 1970: from then on nobody runs it. */
  expiresMs: count,
  capabilities: z.array(capability).max(capability.options.length),
  /** The most that a task of it may be given. */
  limits: taskLimits,
  /** The author's. */
  key: publicKey,
});
export type CodeManifest = z.infer<typeof codeManifest>;

export const signedManifest = z.strictObject({ ...codeManifest.shape, signature });
export type SignedManifest = z.infer<typeof signedManifest>;

/** What the signature of a manifest is over: it holds no mesh, since an author's code is good for all who trust the author. */
export function manifestStatement({ signature: _, ...manifest }: CodeManifest & { signature?: string }): Uint8Array {
  return bytesOf(`foremesh code v1\n${canonicalJson(manifest)}`);
}

/** Code is one file, named by its hash. */
export const codeReference = z.object({
  engine: engineName,
  ...dataReference.shape,
  /** Engine `node` runs no code without one. */
  manifest: signedManifest.optional(),
});
export type CodeReference = z.infer<typeof codeReference>;

/** An author whose code a node runs, and what the owner lets that code do. */
export const trustedKey = z.strictObject({
  key: publicKey,
  capabilities: z.array(capability).max(capability.options.length),
});
export type TrustedKey = z.infer<typeof trustedKey>;
export const trustedKeys = z.array(trustedKey).max(limits.trustedKeysPerNode);

/** With neither: what is trusted. Trusting again replaces what the code may do. */
export const trustChange = z.strictObject({ add: trustedKey.optional(), remove: publicKey.optional() });
export type TrustChange = z.infer<typeof trustChange>;

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** How people call a key: the first eight bytes of it in hexadecimal. */
export function keyIdOf(key: string): string {
  let bits = '';
  for (const character of key.slice(0, 11)) bits += alphabet.indexOf(character).toString(2).padStart(6, '0');
  return (bits.slice(0, 64).match(/.{4}/g) ?? []).map((four) => Number.parseInt(four, 2).toString(16)).join('');
}

/** Why a node that trusts these keys would not run code with this manifest; undefined when it would. */
export function untrusted(
  manifest: CodeManifest | undefined,
  trusts: readonly { readonly key: string; readonly capabilities: readonly string[] }[],
): { readonly reason: 'unsigned' | 'key' | 'capability'; readonly text: string } | undefined {
  if (manifest === undefined) return { reason: 'unsigned', text: 'the code is not signed' };
  const trusted = trusts.find(({ key }) => key === manifest.key);
  if (trusted === undefined) return { reason: 'key', text: `key ${keyIdOf(manifest.key)} is not trusted` };
  const missing = manifest.capabilities.filter((each) => !trusted.capabilities.includes(each));
  if (missing.length === 0) return undefined;
  return { reason: 'capability', text: `key ${keyIdOf(manifest.key)} is trusted, but not with: ${missing.join(', ')}` };
}

/** What the owner of the node says to let it. */
export function trustMend({ key, capabilities }: CodeManifest, node: string): string {
  const network = capabilities.includes('network') ? ' --network' : '';
  return `foremesh trust ${key}${network} --on ${node}`;
}
