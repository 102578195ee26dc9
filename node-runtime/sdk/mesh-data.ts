import { type DataReference, MeshError, type ResultOutput } from '../contract/index.ts';
import type { BlobClient } from '../data/blob-client.ts';
import type { TransferOptions } from '../data/blob-upload.ts';
import type { BlobSource } from '../data/upload-source.ts';
import type { Holders } from './holders.ts';
import type { JobHandle } from './job-handle.ts';
import type { Rows } from './mesh-client.ts';
import { blobOf } from './outputs.ts';

/** A blob that a job of the account has left: it can be read, and be the `input` of another job. */
export interface DataRow extends DataReference {
  readonly job: string;
  readonly output: string;
  readonly encoding: ResultOutput['encoding'];
}

interface Jobs {
  put(source: BlobSource, options?: TransferOptions): Promise<DataReference>;
  jobs(filter: { readonly phase: 'done' }): Promise<Rows<{ readonly job: string }>>;
  follow(job: string): JobHandle;
}

/** The blobs of a mesh. They are known by the hash of what is in them: who knows the name may read. */
export class MeshData {
  readonly #jobs: Jobs;
  readonly #holders: Holders;
  readonly #blobs: BlobClient;

  constructor(jobs: Jobs, holders: Holders, blobs: BlobClient) {
    this.#jobs = jobs;
    this.#holders = holders;
    this.#blobs = blobs;
  }

  /** Brings bytes, a file (by its path, in Node), a stream or a `Blob` to the mesh; durable when it resolves. As `MeshClient.put`. */
  put(source: BlobSource, options: TransferOptions = {}): Promise<DataReference> {
    return this.#jobs.put(source, options);
  }

  /**
   * All bytes of a blob, verified. Throws `MESH_BLOB_MISSING`, `MESH_BLOB_CORRUPT`, `MESH_UNREACHABLE`, `MESH_NO_LEADER`
   * (nobody says who holds blobs), or the signal's reason.
   */
  async get({ blob, sizeBytes }: DataReference, options: TransferOptions = {}): Promise<Uint8Array> {
    await this.#holders.known();
    return this.#blobs.get({ blob, sizeBytes }, options);
  }

  /** The same in pieces of up to `blobChunkBytes`, for what does not fit into memory. They are not to be written to. */
  async *stream({ blob, sizeBytes }: DataReference, options: TransferOptions = {}): AsyncGenerator<Uint8Array> {
    await this.#holders.known();
    yield* this.#blobs.stream({ blob, sizeBytes }, 0, sizeBytes, options);
  }

  /**
   * The blobs that jobs of the account have given as outputs, or one job; a blob has no owner but the jobs that name it. Outputs
   * that stand in the result itself are no blobs. Of more jobs than `queryRows` the leader tells the newest. Throws
   * `MESH_JOB_UNKNOWN` for a job that there is not, `MESH_NO_LEADER`.
   */
  async *ls({ job }: { readonly job?: string } = {}): AsyncGenerator<DataRow> {
    const names = job === undefined ? (await this.#jobs.jobs({ phase: 'done' })).rows.map((row) => row.job) : [job];
    for (const name of names) {
      const handle = this.#jobs.follow(name);
      try {
        const { outputs = {} } = await handle.result();
        for (const [output, content] of Object.entries(outputs)) {
          const reference = blobOf(content);
          if (reference !== undefined) yield { job: name, output, encoding: content.encoding, ...reference };
        }
      } catch (error) {
        // One that was forgotten since the list was made has no outputs any more.
        if (job !== undefined || !(error instanceof MeshError && error.code === 'MESH_JOB_UNKNOWN')) throw error;
      } finally {
        handle.close();
      }
    }
  }
}
