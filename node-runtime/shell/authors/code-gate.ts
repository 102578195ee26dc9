import { existsSync } from 'node:fs';
import * as z from 'zod';
import {
  type Assign,
  count,
  keyIdOf,
  limits,
  MeshError,
  manifestStatement,
  type SignedManifest,
  type TrustedKey,
  trustMend,
  untrusted,
  version,
} from '../../contract/index.ts';
import { writeDurably } from '../durable-file.ts';
import { type Home, readJson } from '../home.ts';
import { releasedMs } from '../release.ts';
import { isSignedBy } from '../signing.ts';

const acceptedFile = z.strictObject({
  v: version,
  /** The latest that a leader has said it is, milliseconds since 1970. */
  leaderMs: count,
  /** By key and name: the highest version that was accepted. */
  versions: z.record(z.string(), count),
});
type Accepted = z.infer<typeof acceptedFile>;

/** How much later a leader's time must be before it is worth a write. */
const leaderStepMs = 600_000;
/** Made by systemd-timesyncd once the clock is right. */
const synchronizedFile = '/run/systemd/timesync/synchronized';

export interface CodeGateOptions {
  readonly home: Home;
  readonly node: string;
  readonly trusts: () => readonly TrustedKey[];
  /** The wall clock, and whether somebody keeps it right. */
  readonly clock?: () => { readonly wallMs: number; readonly isSynchronized: boolean };
}

/** Decides, before code of engine `node` is even fetched, whether it may run here; remembers what it has let in. */
export class CodeGate {
  readonly #options: CodeGateOptions;
  #accepted: Accepted;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(options: CodeGateOptions, accepted: Accepted) {
    this.#options = options;
    this.#accepted = accepted;
  }

  /** Throws `MESH_CONFIG_INVALID` when what was remembered is damaged: without it an older version could come back. */
  static async open(options: CodeGateOptions): Promise<CodeGate> {
    const accepted = await readJson(options.home.acceptedCodeFile, acceptedFile);
    return new CodeGate(options, accepted ?? { v: 1, leaderMs: 0, versions: {} });
  }

  /** Resolves to what the code may do, its version on disk. Throws `MESH_CODE_...`, `MESH_LIMIT_EXCEEDED` or `MESH_STORAGE_FAILED`. */
  admit(assign: Assign): Promise<SignedManifest> {
    const turn = this.#turn.then(() => this.#admit(assign));
    this.#turn = turn.catch(() => undefined); // whoever asked hears of it
    return turn;
  }

  async #admit({ code, limits: asked, leaderMs = 0 }: Assign): Promise<SignedManifest> {
    const { node, trusts } = this.#options;
    const { manifest } = code;
    if (manifest === undefined) throw refuse('UNSIGNED', 'the code is not signed', signMend);
    const distrust = untrusted(manifest, trusts());
    if (distrust !== undefined) {
      const what = distrust.reason === 'capability' ? 'CAPABILITY' : 'UNTRUSTED';
      throw refuse(what, `${node}: ${distrust.text}`, trustMend(manifest, node));
    }
    if (!isSignedBy(manifest.key, manifestStatement(manifest), manifest.signature))
      throw refuse('UNSIGNED', `the signature is not by key ${keyIdOf(manifest.key)} over this manifest`, signMend);
    if (manifest.code !== code.blob)
      throw refuse('MISMATCH', `the manifest is of ${manifest.code}, the code is ${code.blob}`, signMend);
    for (const name of ['memoryBytes', 'cpuMs', 'wallMs', 'outputBytes'] as const) {
      if (asked[name] > manifest.limits[name]) {
        const text = `${name} is ${asked[name]}, the manifest allows ${manifest.limits[name]}`;
        throw refuse('LIMITS', text, 'lower the limits of the stage, or sign the code anew with higher ones');
      }
    }
    const nowMs = this.#now(leaderMs);
    if (manifest.expiresMs <= nowMs) {
      const text = `the signature was good until ${new Date(manifest.expiresMs).toISOString()}`;
      throw refuse('EXPIRED', text, 'sign it anew: `foremesh submit` does');
    }
    await this.#remember(manifest, leaderMs);
    return manifest;
  }

  /** A clock that nobody keeps right may be years behind: then the latest of all that is known. */
  #now(leaderMs: number): number {
    const { wallMs, isSynchronized } = (this.#options.clock ?? systemClock)();
    return isSynchronized ? wallMs : Math.max(wallMs, releasedMs, leaderMs, this.#accepted.leaderMs);
  }

  async #remember({ key, name, version: given }: SignedManifest, leaderMs: number): Promise<void> {
    const { versions } = this.#accepted;
    const which = `${key}/${name}`;
    const highest = Object.hasOwn(versions, which) ? versions[which]! : undefined;
    if (highest !== undefined && given < highest) {
      const text = `"${name}" of key ${keyIdOf(key)} is version ${given}, and this node has accepted ${highest}`;
      throw refuse('ROLLBACK', text, `give it a version of ${highest} or more in the job file`);
    }
    if (highest === undefined && Object.keys(versions).length >= limits.acceptedCodesKept) {
      throw new MeshError('MESH_LIMIT_EXCEEDED', `acceptedCodesKept is ${limits.acceptedCodesKept}`, {
        mend: 'sign code under names that this node knows',
      });
    }
    const isLater = leaderMs >= this.#accepted.leaderMs + leaderStepMs;
    if (given === highest && !isLater) return;
    const after: Accepted = {
      v: 1,
      leaderMs: isLater ? leaderMs : this.#accepted.leaderMs,
      versions: { ...versions, [which]: given },
    };
    await writeDurably(this.#options.home.acceptedCodeFile, `${JSON.stringify(after)}\n`, 0o600);
    this.#accepted = after;
  }
}

const signMend = 'sign it: `foremesh keys new`, then submit it with `foremesh submit`';

type Refusal = 'UNSIGNED' | 'UNTRUSTED' | 'CAPABILITY' | 'MISMATCH' | 'LIMITS' | 'EXPIRED' | 'ROLLBACK';

function refuse(what: Refusal, message: string, mend: string): MeshError {
  return new MeshError(`MESH_CODE_${what}`, message, { mend });
}

function systemClock() {
  return { wallMs: Date.now(), isSynchronized: existsSync(synchronizedFile) };
}
