import { readFileSync } from 'node:fs';

/** What /proc says of a process; `undefined` where there is no /proc or no such process. */
export interface ProcessStats {
  readonly cpuMs: number;
  readonly residentBytes: number;
}

// USER_HZ and the page size of every Linux that Node supports but arm64 kernels with large pages: then RSS reads too low.
const ticksPerSecond = 100;
const pageBytes = 4_096;

export function readProcessStats(pid: number): ProcessStats | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name in parentheses may hold anything; the fields behind it begin with the third.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = Number(fields[11]) + Number(fields[12]);
    return { cpuMs: (ticks * 1000) / ticksPerSecond, residentBytes: Number(fields[21]) * pageBytes };
  } catch {
    return undefined;
  }
}
