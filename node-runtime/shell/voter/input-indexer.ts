import { blockIndex } from '@foremesh/partitioner';
import { asMeshError, limits, MeshError, problemOf, type RecordIndex } from '../../contract/index.ts';
import type { PlannerEffect } from '../../core/index.ts';
import type { BlobClient } from '../../data/index.ts';
import type { Voter } from './voter.ts';

export interface InputIndexerOptions {
  readonly voter: () => Voter;
  readonly blobs: BlobClient;
}

/** Asks the holders where the records of an input begin, for a planner that will cut it. */
export class InputIndexer {
  readonly #options: InputIndexerOptions;
  #closed = false;

  constructor(options: InputIndexerOptions) {
    this.#options = options;
  }

  async find({ account, job, stage, source, by, blockBytes }: PlannerEffect & { type: 'index' }): Promise<void> {
    const { blobs } = this.#options;
    const voter = this.#options.voter();
    while (!this.#closed && voter.planner.leading) {
      try {
        const reference =
          'inline' in source ? await blobs.put(source.inline) : { blob: source.blob, sizeBytes: source.sizeBytes };
        const index =
          by === 'bytes' ? blocksOf(reference.sizeBytes, blockBytes!, stage) : await blobs.index(reference, by);
        voter.feed({ type: 'indexed', account, job, stage, source: reference, index });
        return;
      } catch (error) {
        const failure = asMeshError(error, 'MESH_INPUT_INVALID');
        if (failure.code === 'MESH_UNREACHABLE') continue; // it has waited long already; the job waits until a holder is back
        voter.feed({ type: 'index-failed', account, job, stage, problem: problemOf(failure) });
        return;
      }
    }
  }

  close(): void {
    this.#closed = true;
  }
}

function blocksOf(sizeBytes: number, blockBytes: number, stage: string): RecordIndex {
  const count = Math.ceil(sizeBytes / blockBytes);
  if (count <= limits.tasksPerStage) return blockIndex(sizeBytes, blockBytes);
  const least = Math.ceil(sizeBytes / limits.tasksPerStage);
  throw new MeshError(
    'MESH_LIMIT_EXCEEDED',
    `tasksPerStage is ${limits.tasksPerStage}; in blocks of ${blockBytes} bytes stage ${stage} would have ${count}`,
    { mend: `set \`split: { by: bytes, size: ... }\` to at least ${least}` },
  );
}
