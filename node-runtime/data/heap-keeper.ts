import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const lookMs = 5_000;
/** Of one core: below it nobody waits for this process. */
const quietShare = 0.03;
/** The heap is let be until it has grown by this. */
const growthBytes = 4 * 1024 ** 2;
/** Between two collections: what the first leaves behind, the second gives back to the system. */
const againMs = 500;

/**
 * V8 keeps what it grew to under load for as long as nothing happens. On a device that is at rest the memory belongs to
 * others: it is collected then, which takes some tens of milliseconds, once after work.
 */
export class HeapKeeper {
  readonly #isBusy: () => boolean;
  readonly #timer: NodeJS.Timeout;
  #again: NodeJS.Timeout | undefined;
  #cpu = process.cpuUsage();
  #leanBytes = 0;

  /** One of a process. `isBusy`: says that it works, however little of the CPU is its own. */
  constructor(isBusy: () => boolean = () => false) {
    this.#isBusy = isBusy;
    this.#timer = setInterval(() => this.#look(), lookMs).unref();
  }

  #look(): void {
    const used = process.cpuUsage(this.#cpu);
    this.#cpu = process.cpuUsage();
    const isQuiet = (used.user + used.system) / 1000 < lookMs * quietShare;
    if (!isQuiet || this.#isBusy() || heapBytes() < this.#leanBytes + growthBytes) return;
    collect();
    this.#again = setTimeout(() => {
      collect();
      this.#leanBytes = heapBytes();
    }, againMs).unref();
  }

  close(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#again);
  }
}

function heapBytes(): number {
  return getHeapStatistics().total_heap_size;
}

function collect(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}
