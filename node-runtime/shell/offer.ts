import { limits } from '../contract/index.ts';
import { shareDefault } from '../core/index.ts';

const defaults = { queue: 64, prefetchBytes: 32 * 1024 ** 2 };
/** The rest stays with the device, whatever its owner shares. */
const greatestMemoryShare = 0.75;

export interface OfferOptions {
  /** Of its cores and memory, 0 to 1; half of them by default. */
  readonly share?: number | undefined;
  /** Attempts at once; by default one per core of the share. */
  readonly slots?: number | undefined;
  /** What stays with the device whatever is shared. */
  readonly memoryFreeLeastBytes?: number | undefined;
}

/** What a device, or what of it is in the scope, offers to the mesh. */
export function offerOf(
  { cores, memoryBytes }: { cores: number; memoryBytes: number },
  { share = shareDefault, slots, memoryFreeLeastBytes = 0 }: OfferOptions,
) {
  const attempts = slots ?? Math.max(1, Math.floor(cores * share));
  const sharedBytes = Math.min(memoryBytes * Math.min(share, greatestMemoryShare), memoryBytes - memoryFreeLeastBytes);
  return {
    cores,
    memoryBytes,
    share,
    slots: attempts,
    queue: Math.min(limits.queuePerNode, Math.max(defaults.queue, attempts * 8)),
    offeredMemoryBytes: Math.floor(Math.max(0, sharedBytes)),
    prefetchAttempts: defaults.queue,
    prefetchBytes: defaults.prefetchBytes,
  };
}
