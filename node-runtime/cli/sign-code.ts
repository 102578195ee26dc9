import * as z from 'zod';
import {
  type Capability,
  capability,
  count,
  durationToSeconds,
  identifier,
  type JobSpec,
  limits,
  MeshError,
} from '../contract/index.ts';
import { type AuthorKey, authorDefault, readAuthorKey } from '../shell/authors/author-keys.ts';
import type { Home } from '../shell/home.ts';
import type { JobFile } from './job-file.ts';

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
    const [{ signedCode }, { openAuthorKey }] = await Promise.all([
      import('../sdk/sign-code.ts'),
      import('../sdk/host.ts'),
    ]);
    const { key, expires, ...said } = signing;
    const nowMs = Date.now();
    const expiresMs = expires === undefined ? undefined : nowMs + expires;
    const signer = openAuthorKey(keys.get(key)!.privateKey);
    const of = { name: job.name, stages: signed.stages };
    signed.stages[stage]![kind] = signedCode(of, stage, kind, signer, { ...said, expiresMs }, nowMs);
  }
  return signed;
}
