import { availableParallelism, totalmem } from 'node:os';
import { limits } from '../contract/index.ts';

const defaults = { share: 0.5, queue: 64, prefetchBytes: 32 * 1024 ** 2 };
/** The rest stays with the device, whatever its owner shares. */
const greatestMemoryShare = 0.75;

/**
 * What a device offers to the mesh.
 *
 * @param share of its cores and memory, 0 to 1; half of them by default
 * @param slots attempts at once; by default one per core of the share
 */
export function offerOf({ share = defaults.share, slots }: { share?: number | undefined; slots?: number | undefined }) {
  const cores = availableParallelism();
  const memoryBytes = totalmem();
  const attempts = slots ?? Math.max(1, Math.floor(cores * share));
  return {
    cores,
    memoryBytes,
    share,
    slots: attempts,
    queue: Math.min(limits.queuePerNode, Math.max(defaults.queue, attempts * 8)),
    offeredMemoryBytes: Math.floor(memoryBytes * Math.min(share, greatestMemoryShare)),
    prefetchAttempts: defaults.queue,
    prefetchBytes: defaults.prefetchBytes,
  };
}
