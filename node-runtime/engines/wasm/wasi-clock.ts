import { type GuestMemory, WasiError } from './guest-memory.ts';
import { errno } from './wasi-names.ts';
import { rights, type WasiState } from './wasi-state.ts';

export interface ClockPort {
  readonly memory: () => GuestMemory;
  readonly state: WasiState;
  /** How long the task has run, milliseconds. */
  readonly elapsedMs: () => number;
  /** Blocks for so long, but ends the guest when the task has to stop. */
  readonly sleep: (ms: number) => void;
  /** Whether a read of this descriptor, or a write to it, would not block: none ever does. */
  readonly rightsOf: (fd: number) => number | undefined;
}

const clock = { realtime: 0, monotonic: 1, processCpu: 2, threadCpu: 3 } as const;
const resolutionNs = 1_000n;
const subscriptionBytes = 48;
const eventBytes = 32;
const subscriptionsMost = 1_024;
const eventType = { clock: 0, read: 1, write: 2 } as const;
const absolute = 1;

/**
 * Clocks and waiting. The monotonic clock begins with 0 when the task does; the wall clock is read once, at that moment, and goes on
 * with the monotonic one, so that it never goes back. Both have microseconds. The clocks of CPU time run like the monotonic one.
 */
export function clockCalls({ memory, state, elapsedMs, sleep, rightsOf }: ClockPort) {
  const now = (id: number): bigint => {
    const elapsed = BigInt(Math.floor(elapsedMs() * 1_000)) * 1_000n;
    if (id === clock.realtime) return BigInt(Math.floor(state.beganAtMs)) * 1_000_000n + elapsed;
    if (id > clock.threadCpu) throw new WasiError(errno.inval);
    return elapsed;
  };

  /** What is ready now, and when the first clock will be: undefined without a clock. */
  const look = (subscriptions: number, count: number) => {
    const ready: Event[] = [];
    let waitNs: bigint | undefined;
    for (let index = 0; index < count; index += 1) {
      const at = subscriptions + index * subscriptionBytes;
      const userData = memory().number64(at);
      const type = memory().byte(at + 8);
      if (type === eventType.clock) {
        const id = memory().number32(at + 16);
        if (id > clock.threadCpu) {
          ready.push({ userData, type, errno: errno.inval });
          continue;
        }
        const timeout = memory().number64(at + 24);
        const isAbsolute = (memory().number16(at + 40) & absolute) !== 0;
        const leftNs = isAbsolute ? timeout - now(id) : timeout;
        if (waitNs === undefined || leftNs < waitNs) waitNs = leftNs < 0n ? 0n : leftNs;
      } else if (type === eventType.read || type === eventType.write) {
        const own = rightsOf(memory().number32(at + 16));
        const needed = type === eventType.read ? rights.fdRead : rights.fdWrite;
        ready.push({ userData, type, errno: own === undefined || (own & needed) === 0 ? errno.badf : errno.success });
      } else throw new WasiError(errno.inval);
    }
    return { ready, waitNs };
  };

  return {
    clock_res_get: (id: number, pointer: number) => {
      if (id >>> 0 > clock.threadCpu) return errno.inval;
      memory().set64(pointer, resolutionNs);
      return errno.success;
    },
    clock_time_get: (id: number, _precision: bigint, pointer: number) => {
      const time = now(id >>> 0);
      memory().set64(pointer, time);
      return errno.success;
    },
    poll_oneoff: (subscriptions: number, events: number, count: number, stored: number) => {
      const number = count >>> 0;
      if (number === 0 || number > subscriptionsMost) return errno.inval;
      memory().bytes(subscriptions, number * subscriptionBytes);
      memory().bytes(events, number * eventBytes);
      memory().bytes(stored, 4);
      const { ready, waitNs } = look(subscriptions >>> 0, number);
      if (ready.length === 0 && waitNs !== undefined) {
        sleep(Number(waitNs) / 1e6);
        // The clocks whose time has come with the first: that of those that count from now is taken from when the call began.
        ready.push(...dueClocks(memory(), subscriptions >>> 0, number, waitNs, now));
      }
      for (const [index, event] of ready.entries()) {
        const at = (events >>> 0) + index * eventBytes;
        const bytes = memory().bytes(at, eventBytes);
        bytes.fill(0);
        memory().set64(at, event.userData);
        bytes[8] = event.errno;
        bytes[10] = event.type;
      }
      memory().set32(stored, ready.length);
      return errno.success;
    },
    sched_yield: () => errno.success,
  };
}

interface Event {
  readonly userData: bigint;
  readonly type: number;
  readonly errno: number;
}

/** Clocks alone, all of them valid: those that are due after a wait of `waitedNs`. */
function dueClocks(
  memory: GuestMemory,
  subscriptions: number,
  count: number,
  waitedNs: bigint,
  now: (id: number) => bigint,
): Event[] {
  const due: Event[] = [];
  for (let index = 0; index < count; index += 1) {
    const at = subscriptions + index * subscriptionBytes;
    const timeout = memory.number64(at + 24);
    const isAbsolute = (memory.number16(at + 40) & absolute) !== 0;
    const isDue = isAbsolute ? timeout <= now(memory.number32(at + 16)) : timeout <= waitedNs;
    if (isDue) due.push({ userData: memory.number64(at), type: eventType.clock, errno: errno.success });
  }
  return due;
}
