import * as z from 'zod';
import {
  type Capability,
  type CodeManifest,
  capability,
  count,
  durationToSeconds,
  identifier,
  type JobSpec,
  limits,
  MeshError,
  manifestStatement,
} from '../contract/index.ts';
import { type AuthorKey, authorDefault, readAuthorKey } from '../shell/authors/author-keys.ts';
import type { Home } from '../shell/home.ts';
import type { JobFile } from './job-file.ts';

const expiryDefaultMs = 7 * 86_400_000;
const duration = z
  .string()
  .regex(/^\d+(\.\d+)?\s*(ms|s|min|h|d)$/, { error: 'must be a number with ms, s, min, h or d ("30d")' })
  .transform((text) => durationToSeconds(text) * 1_000)
  .refine((ms) => ms > 0 && ms <= limits.manifestMsMost, { error: `manifestMsMost is ${limits.manifestMsMost}` });

/** `code` (or `merge`) of a job file for engine `node`: a file, and what its author says of it. */
export const signedCode = z.strictObject({
  file: z.string().min(1),
  engine: z.literal('node'),
  /** Newer and older versions of one thing have one name: that of the job and the stage unless said. */
  name: identifier.optional(),
  version: count.min(1).default(1),
  expires: duration.optional(),
  capabilities: z.array(capability).default([]),
  /** Which key of this home signs. */
  key: z.string().default(authorDefault),
});

/** What is to be signed, but for what is only known when the code has been made. */
export interface Signing {
  readonly name?: string | undefined;
  readonly version: number;
  readonly expires?: number | undefined;
  readonly capabilities: readonly Capability[];
  readonly key: string;
}

/** The keys that a job file names. Throws `MESH_KEY_UNKNOWN` with the place in the file. */
export async function openKeys(home: Home, { files }: JobFile): Promise<ReadonlyMap<string, AuthorKey>> {
  const keys = new Map<string, AuthorKey>();
  for (const { signing, where } of files) {
    if (signing === undefined || keys.has(signing.key)) continue;
    try {
      keys.set(signing.key, await readAuthorKey(home, signing.key));
    } catch (error) {
      if (!(error instanceof MeshError) || error.code !== 'MESH_KEY_UNKNOWN') throw error;
      const { code, message, mend } = error;
      throw new MeshError(code, message, { where, ...(mend === undefined ? {} : { mend }) });
    }
  }
  return keys;
}

/** The spec with a signed manifest wherever the job file asks for one. */
export async function signSpec(job: JobFile, spec: JobSpec, keys: ReadonlyMap<string, AuthorKey>): Promise<JobSpec> {
  const signed = structuredClone(spec);
  for (const { signing, stage, kind } of job.files) {
    if (signing === undefined || (kind !== 'code' && kind !== 'merge')) continue;
    const [{ nameOf: referenceOf }, { limitsOf }, { sign }] = await Promise.all([
      import('../data/hash.ts'),
      import('../shell/voter/job-plans.ts'),
      import('node:crypto'),
    ]);
    const content = signed.stages[stage]!;
    const code = content[kind] as JobSpec['stages'][string]['code'];
    const author = keys.get(signing.key)!;
    const manifest: CodeManifest = {
      v: 1,
      code: 'blob' in code ? code.blob : referenceOf(Buffer.from(code.inline)).blob,
      name: signing.name ?? nameOf(job.name, stage, kind),
      version: signing.version,
      expiresMs: Math.round(Date.now() + (signing.expires ?? expiryDefaultMs)),
      capabilities: [...signing.capabilities],
      limits: limitsOf(content.limits),
      key: author.publicKey,
    };
    const signature = sign(null, manifestStatement(manifest), author.privateKey).toString('base64url');
    content[kind] = { ...code, engine: 'node', manifest: { ...manifest, signature } };
  }
  return signed;
}

function nameOf(job: string, stage: string, kind: string): string {
  const text = [job, stage, ...(kind === 'merge' ? [kind] : [])].join('-').replace(/[^A-Za-z0-9_-]+/g, '-');
  return text.slice(0, limits.identifierCharacters);
}
