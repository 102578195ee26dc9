import type { Logger } from 'pino';
import { asMeshError, type JobSpec, MeshError } from '../../contract/index.ts';
import type { VoterEffect } from '../../core/index.ts';
import type { BlobClient } from '../../data/index.ts';
import { parseSpec, planOf } from './job-plans.ts';
import type { Voter } from './voter.ts';

type TakeSpec = VoterEffect & { type: 'take-spec' };
type SpecOf = Pick<TakeSpec, 'account' | 'job' | 'specHash'>;

export interface SpecIntakeOptions {
  readonly voter: () => Voter;
  readonly blobs: BlobClient;
  readonly log: Logger;
  /** Tells whoever published it, and clears it. */
  readonly refuse: (spec: SpecOf, error: MeshError) => void;
}

interface Intake {
  readonly account: string;
  readonly job: string;
  /** Why, when it was cancelled meanwhile. */
  cancelled?: string;
}

/** From a published spec to a plan whose code and input are durable. */
export class SpecIntake {
  readonly #options: SpecIntakeOptions;
  /** Specs whose code and input are being made durable, by job and hash: the same one is not begun twice. */
  readonly #intakes = new Map<string, Intake>();
  /** The spec that was read last: a leader takes it in right after. */
  #read: { readonly specHash: string; readonly spec: JobSpec } | undefined;
  #closed = false;

  constructor(options: SpecIntakeOptions) {
    this.#options = options;
  }

  /** Every voter holds what is published; what is malformed is refused by the one that leads, or will. */
  hear(account: string, job: string, payload: Uint8Array): void {
    const voter = this.#options.voter();
    if (payload.length === 0) {
      voter.feed({ type: 'spec-cleared', account, job });
      return;
    }
    let specHash = '';
    try {
      this.#read = parseSpec(payload);
      specHash = this.#read.specHash;
    } catch (error) {
      if (voter.planner.leading) {
        this.#refuse({ account, job, specHash }, error);
        return;
      }
      // Held like any other, so that whoever leads next refuses it: who published it would wait for ever.
    }
    // Its own copy: the payload is part of a larger buffer of the connection.
    voter.feed({ type: 'spec-heard', account, job, specHash, payload: payload.slice() });
  }

  /** Makes code and input durable, then hands the plan to the planner. */
  async take({ account, job, specHash, payload }: TakeSpec): Promise<void> {
    const key = `${account}/${job}#${specHash}`;
    if (this.#intakes.has(key)) return;
    const intake: Intake = { account, job };
    this.#intakes.set(key, intake);
    try {
      const spec = this.#read?.specHash === specHash ? this.#read.spec : parseSpec(payload).spec;
      await this.#takeIn(intake, specHash, spec);
    } catch (error) {
      this.#refuse({ account, job, specHash }, error);
    } finally {
      this.#intakes.delete(key);
    }
  }

  /** Held until that works, however long, or until another leads. */
  async #takeIn(intake: Intake, specHash: string, spec: JobSpec): Promise<void> {
    const { account, job } = intake;
    const { blobs, log } = this.#options;
    const voter = this.#options.voter();
    while (!this.#closed && voter.planner.leading) {
      try {
        const plan = await planOf(spec, blobs);
        voter.feed({ type: 'submitted', account, job, specHash, plan });
        if (intake.cancelled !== undefined)
          voter.feed({ type: 'cancel-requested', account, job, reason: intake.cancelled });
        return;
      } catch (error) {
        const failure = asMeshError(error, 'MESH_SPEC_INVALID');
        if (failure.code !== 'MESH_UNREACHABLE') throw failure;
        if (intake.cancelled !== undefined) throw new MeshError('MESH_JOB_CANCELLED', intake.cancelled);
        log.warn(`${account}/${job} waits for a holder: ${failure.toLine()}`); // which took long: no pause is needed
      }
    }
  }

  #refuse(spec: SpecOf, error: unknown): void {
    const voter = this.#options.voter();
    if (!voter.planner.leading) return;
    voter.feed({ type: 'spec-cleared', account: spec.account, job: spec.job });
    this.#options.refuse(spec, asMeshError(error, 'MESH_SPEC_INVALID'));
  }

  /** While its code and input are on their way to a holder, the planner does not know of a job. */
  cancel(account: string, job: string, reason: string): void {
    for (const intake of this.#intakes.values())
      if (intake.account === account && intake.job === job) intake.cancelled = reason;
    this.#options.voter().feed({ type: 'cancel-requested', account, job, reason });
  }

  close(): void {
    this.#closed = true;
  }
}
