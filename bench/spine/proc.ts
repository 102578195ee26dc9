import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const clockTickMs = 10;

/** A process and all that descend from it. */
export function treeOf(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const parent = Number(fieldsOf(Number(name))?.[1]);
    if (Number.isNaN(parent)) continue;
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const tree = [pid];
  for (const each of tree) tree.push(...(children.get(each) ?? []));
  return tree;
}

/** Sum of the resident memory of a process tree; memory that processes share counts in each. */
export function residentMiB(pid: number): number {
  let sum = 0;
  for (const each of treeOf(pid)) {
    const status = readFileSync(`/proc/${each}/status`, 'utf8');
    sum += Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024;
  }
  return sum;
}

/** CPU time of a process, ended and awaited children included, milliseconds. */
function cpuMs(pid: number): number {
  const fields = fieldsOf(pid);
  if (fields === undefined) throw new Error(`process ${pid} has ended`);
  return [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0) * clockTickMs;
}

/** Shares of one core that processes use over a while. */
export async function cpuShares(pids: readonly number[], seconds: number): Promise<number[]> {
  const before = pids.map(cpuMs);
  const startMs = performance.now();
  await sleep(seconds * 1000);
  const elapsedMs = performance.now() - startMs;
  return pids.map((pid, index) => (cpuMs(pid) - before[index]!) / elapsedMs);
}

/** /proc/<pid>/stat from the state on: the name before it may hold spaces and brackets. */
function fieldsOf(pid: number): string[] | undefined {
  if (Number.isNaN(pid)) return undefined;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined; // it has ended
  }
}

export function loadAverage(): number {
  return Number(readFileSync('/proc/loadavg', 'utf8').split(' ')[0]);
}
