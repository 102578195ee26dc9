import {
  bytesOf,
  type Capability,
  type CodeManifest,
  checkLimit,
  identifier,
  type JobSpec,
  limits,
  MeshError,
  manifestStatement,
  taskLimitsOf,
} from '../contract/index.ts';
import { nameOf } from '../data/hash.ts';

/** What an author says of code of engine `node`, beyond what the spec says already. */
export interface CodeSigning {
  /** Newer and older versions of one thing have one name: those of the job and the stage unless said. */
  readonly name?: string | undefined;
  /** From 1, which it is unless said. A node that has run a version runs no lower one of the same name and key. */
  readonly version?: number | undefined;
  /** Milliseconds since 1970: from then on nobody runs it. 7 days from now, or up to one more, unless said. */
  readonly expiresMs?: number | undefined;
  /** `network`: the machine's own, where its owner lets it. Nothing unless said. */
  readonly capabilities?: readonly Capability[] | undefined;
}

/** An author's key, as far as signing needs it. */
export interface AuthorSigner {
  /** 32 bytes in base64url. */
  readonly publicKey: string;
  /** Ed25519, base64url. */
  readonly sign: (statement: Uint8Array) => string;
}

type StageCode = JobSpec['stages'][string]['code'];
type Kind = 'code' | 'merge';

const expiryDefaultMs = 7 * 86_400_000;
const dayMs = 86_400_000;

/** The code of a stage, or of its merge, with a manifest. Throws `MESH_LIMIT_EXCEEDED` for an expiry that is too late. */
export function signedCode(
  { name: job, stages }: Pick<JobSpec, 'name' | 'stages'>,
  stage: string,
  kind: Kind,
  signer: AuthorSigner,
  signing: CodeSigning,
  nowMs: number,
): StageCode {
  const code = stages[stage]![kind] as StageCode;
  // A whole day: the same job that is submitted again is the same spec, and so the same job, for the rest of the day.
  const expiresMs = Math.round(signing.expiresMs ?? Math.ceil((nowMs + expiryDefaultMs) / dayMs) * dayMs);
  checkLimit('manifestMsMost', expiresMs - nowMs, limits.manifestMsMost, stage);
  const manifest: CodeManifest = {
    v: 1,
    code: 'blob' in code ? code.blob : nameOf(bytesOf(code.inline)).blob,
    name: signing.name ?? codeName(job, stage, kind),
    version: signing.version ?? 1,
    expiresMs,
    capabilities: [...(signing.capabilities ?? [])],
    limits: taskLimitsOf(stages[stage]!.limits),
    key: signer.publicKey,
  };
  return { ...code, engine: 'node', manifest: { ...manifest, signature: signer.sign(manifestStatement(manifest)) } };
}

function codeName(job: string | undefined, stage: string, kind: Kind): string {
  const text = [job ?? [], stage, kind === 'merge' ? kind : []].flat().join('-');
  const name = text.replace(/[^A-Za-z0-9_-]+/g, '-').slice(0, limits.identifierCharacters);
  return identifier.parse(name);
}

/** The spec with all code of engine `node` signed that is not yet. Throws `MESH_CODE_UNSIGNED` when nobody signs. */
export function signSpec(
  spec: JobSpec,
  signer: AuthorSigner | undefined,
  signing: CodeSigning = {},
  nowMs: number = Date.now(),
): JobSpec {
  const stages = { ...spec.stages };
  for (const stage of Object.keys(stages)) {
    for (const kind of ['code', 'merge'] as const) {
      const code = stages[stage]![kind];
      if (typeof code !== 'object' || code.engine !== 'node' || code.manifest !== undefined) continue;
      if (signer === undefined) {
        throw new MeshError('MESH_CODE_UNSIGNED', 'code of engine "node" is to be signed, and there is no key', {
          where: `stages.${stage}.${kind}`,
          mend: 'connectMesh(connection, { key: FILE }) signs; `foremesh keys new` makes a key',
        });
      }
      stages[stage] = { ...stages[stage]!, [kind]: signedCode(spec, stage, kind, signer, signing, nowMs) };
    }
  }
  return { ...spec, stages };
}
