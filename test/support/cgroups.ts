import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './until.ts';

export interface RealCgroup {
  readonly name: string;
  add(processId: number): void;
  /** Back into the group around it. */
  release(processId: number): void;
  /** Once nothing lives in it. */
  remove(): Promise<void>;
}

const base = '/sys/fs/cgroup';

/**
 * A control group of this machine, version 1 below the cgroups that this process is in; undefined where that cannot be had.
 *
 * @param cores quota
 * @param periodMs of the quota: what is measured over a time that is not much longer is chance
 */
export function makeCgroup(
  name: string,
  { cores, memoryBytes, periodMs = 100 }: { cores?: number; memoryBytes?: number; periodMs?: number } = {},
): RealCgroup | undefined {
  const controllers = ['cpu', 'cpuacct', ...(memoryBytes === undefined ? [] : ['memory'])];
  if (!controllers.every((controller) => existsSync(join(base, controller, 'cgroup.procs')))) return undefined;
  const directories = new Map(
    controllers.map((controller) => [controller, join(base, controller, ownOf(controller), name)]),
  );
  try {
    for (const directory of directories.values()) mkdirSync(directory, { recursive: true });
  } catch {
    return undefined; // not root, or a read-only /sys
  }
  const write = (controller: string, file: string, value: number) =>
    writeFileSync(join(directories.get(controller)!, file), String(value));
  // It gets its quota whatever else this machine does: what is measured in it can be compared.
  write('cpu', 'cpu.shares', 262_144);
  if (cores !== undefined) {
    write('cpu', 'cpu.cfs_period_us', periodMs * 1_000);
    write('cpu', 'cpu.cfs_quota_us', Math.round(cores * periodMs * 1_000));
  }
  if (memoryBytes !== undefined) write('memory', 'memory.limit_in_bytes', memoryBytes);
  return {
    name,
    add: (processId) => {
      for (const controller of controllers) write(controller, 'cgroup.procs', processId);
    },
    release: (processId) => {
      for (const directory of directories.values())
        writeFileSync(join(directory, '..', 'cgroup.procs'), String(processId));
    },
    remove: async () => {
      for (const directory of directories.values()) {
        await until(`${directory} is empty`, () => readFileSync(join(directory, 'cgroup.procs'), 'utf8') === '');
        rmdirSync(directory);
      }
    },
  };
}

function ownOf(controller: string): string {
  const lines = readFileSync('/proc/self/cgroup', 'utf8').split('\n');
  const line = lines.find((each) => each.split(':')[1]?.split(',').includes(controller));
  return line?.split(':')[2] ?? '/';
}
