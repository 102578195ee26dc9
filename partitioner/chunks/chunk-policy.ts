import { cutRange, recordIndexProblem } from '../records/index.ts';
import { chunkSize, chunkToCopy, nextPieceSeconds, surelyPerSecond } from './chunk-sizing.ts';

/** How data-parallel work is cut while it is done: what a leader needs for it, in one hand. */
export interface ChunkPolicy {
  readonly problemOf: typeof recordIndexProblem;
  readonly cut: typeof cutRange;
  readonly size: typeof chunkSize;
  readonly copy: typeof chunkToCopy;
  readonly surely: typeof surelyPerSecond;
  readonly nextSeconds: typeof nextPieceSeconds;
}

/** Adaptive weighted factoring, and late copies. */
export const chunkPolicy: ChunkPolicy = {
  problemOf: recordIndexProblem,
  cut: cutRange,
  size: chunkSize,
  copy: chunkToCopy,
  surely: surelyPerSecond,
  nextSeconds: nextPieceSeconds,
};
