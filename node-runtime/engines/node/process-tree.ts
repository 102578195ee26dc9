import { readdirSync, readFileSync } from 'node:fs';

/** What /proc says of a process and all that it has started. */
export interface TreeReading {
  /** The process itself first. */
  readonly processIds: readonly number[];
  /** CPU time of those that live and of those that they have waited for. */
  readonly cpuMs: number;
  /** Of `cpuMs` what those that live have used themselves. */
  readonly livingCpuMs: number;
  readonly residentBytes: number;
}

// USER_HZ and the page size of every Linux that Node supports but arm64 kernels with large pages: then RSS reads too low.
const tickMs = 10;
const pageBytes = 4_096;

/** Undefined where there is no /proc or no such process. What ends meanwhile is left out. */
export function readTree(root: number): TreeReading | undefined {
  const processIds: number[] = [];
  let cpuMs = 0;
  let livingCpuMs = 0;
  let residentBytes = 0;
  const open = [root];
  for (let pid = open.pop(); pid !== undefined; pid = open.pop()) {
    const fields = statOf(pid);
    if (fields === undefined) continue;
    const ticks = (first: number) => (Number(fields[first]) + Number(fields[first + 1])) * tickMs;
    processIds.push(pid);
    livingCpuMs += ticks(11);
    cpuMs += ticks(11) + ticks(13);
    residentBytes += Number(fields[21]) * pageBytes;
    open.push(...childrenOf(pid));
  }
  return processIds.length === 0 ? undefined : { processIds, cpuMs, livingCpuMs, residentBytes };
}

/** Behind the name in parentheses, which may hold anything: they begin with the third. */
function statOf(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined; // it has ended
  }
}

/** Whoever its threads have started, in the order in which they were. */
export function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
    );
  } catch {
    return []; // it has ended; a kernel without these files shows the process alone
  }
}

/** Every process whose environment holds the entry: what was started with it, and has not cleared it. */
export function processesWith(entry: string): number[] {
  const found: number[] = [];
  for (const name of readdirOrNothing('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (readFileSync(`/proc/${name}/environ`, 'latin1').split('\0').includes(entry)) found.push(Number(name));
    } catch {
      // of somebody else, or gone
    }
  }
  return found;
}

function readdirOrNothing(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Sends a signal to each that is still there. */
export function signalAll(processIds: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of processIds) {
    try {
      process.kill(pid, signal);
    } catch {
      // it has ended
    }
  }
}
