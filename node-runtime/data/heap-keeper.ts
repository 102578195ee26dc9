import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const lookMs = 5_000;
/** Of one core: below it nobody waits for this process. */
const quietShare = 0.03;
/** The heap is let be until it has grown by this, and by a fifth, over what lives in it. */
const growthBytes = 4 * 1024 ** 2;
const growthFactor = 1.2;
const triesAfterWork = 3;
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
  /** What lived in the heap after the last collection, and how large it was then. */
  #liveBytes = 0;
  #leftBytes = 0;
  /** How often it may still be collected since it last worked: V8 lets go of nothing under load, and not always at once. */
  #tries = triesAfterWork;

  /** One of a process. `isBusy`: says that it works, however little of the CPU is its own. */
  constructor(isBusy: () => boolean = () => false) {
    this.#isBusy = isBusy;
    this.#timer = setInterval(() => this.#look(), lookMs).unref();
  }

  #look(): void {
    const used = process.cpuUsage(this.#cpu);
    this.#cpu = process.cpuUsage();
    const isQuiet = (used.user + used.system) / 1000 < lookMs * quietShare;
    if (!isQuiet || this.#isBusy()) {
      this.#tries = triesAfterWork;
      return;
    }
    const { total_heap_size: total } = getHeapStatistics();
    if (total <= this.#liveBytes * growthFactor + growthBytes) return;
    if (this.#tries === 0 && total < this.#leftBytes + growthBytes) return;
    this.#tries = Math.max(0, this.#tries - 1);
    collect();
    this.#again = setTimeout(() => {
      collect();
      ({ used_heap_size: this.#liveBytes, total_heap_size: this.#leftBytes } = getHeapStatistics());
    }, againMs).unref();
  }

  close(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#again);
  }
}

function collect(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}
