import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

/** Cumulative counters and gauges of the machine at one moment. */
export interface MachineReading {
  /** CPU time since boot over all cores, milliseconds: busy, and in all. */
  readonly cpuBusyMs: number;
  readonly cpuTotalMs: number;
  readonly memoryAvailableBytes: number;
  readonly networkReceivedBytes: number;
  readonly networkSentBytes: number;
}

export interface ProcessReading {
  /** User and system time since its start, milliseconds. */
  readonly cpuMs: number;
  readonly residentBytes: number;
}

/** How a machine is read; one implementation per kind of system. */
export interface Machine {
  /** Its cores are a quota for all that runs there: what one takes another lacks, whatever its priority. */
  readonly hasQuota?: boolean;
  read(): Promise<MachineReading>;
  /** Processes that have ended are left out. */
  readProcesses(processIds: readonly number[]): Promise<Map<number, ProcessReading>>;
}

/** USER_HZ: what the kernel counts CPU time in for user space; 100 on every Linux port that runs Node. */
const clockTickMs = 10;

/** Linux: /proc read directly costs 0.1 ms a sample, where systeminformation costs about 35 ms. */
const procMachine: Machine = {
  async read() {
    const [stat, memory, network] = await Promise.all([
      readFile('/proc/stat', 'utf8'),
      readFile('/proc/meminfo', 'utf8'),
      readFile('/proc/net/dev', 'utf8'),
    ]);
    return { ...parseStat(stat), memoryAvailableBytes: parseAvailable(memory), ...parseNetwork(network) };
  },
  async readProcesses(processIds) {
    const readings = new Map<number, ProcessReading>();
    for (const processId of processIds) {
      try {
        const [stat, status] = await Promise.all([
          readFile(`/proc/${processId}/stat`, 'utf8'),
          readFile(`/proc/${processId}/status`, 'utf8'),
        ]);
        readings.set(processId, parseProcess(stat, status));
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== 'ENOENT' && code !== 'ESRCH') throw error; // it has ended since it was listed
      }
    }
    return readings;
  },
};

type CpuTimes = Pick<MachineReading, 'cpuBusyMs' | 'cpuTotalMs'>;

/** The first line of /proc/stat. */
export function parseStat(text: string): CpuTimes {
  return parseCpuLine(text.slice(0, text.indexOf('\n')));
}

/** The listed processors alone, together. Throws when one is not there. */
export function parseCpuTimes(text: string, cpus: readonly number[]): CpuTimes {
  const each = cpus.map((cpu) => {
    const line = new RegExp(`^cpu${cpu} .*$`, 'm').exec(text)?.[0];
    if (line === undefined) throw new Error(`there is no cpu${cpu}`);
    return parseCpuLine(line);
  });
  const sum = (name: keyof CpuTimes) => each.reduce((all, times) => all + times[name], 0);
  return { cpuBusyMs: sum('cpuBusyMs'), cpuTotalMs: sum('cpuTotalMs') };
}

/** user nice system idle iowait irq softirq steal (guest is in user already). */
function parseCpuLine(line: string): CpuTimes {
  const ticks = line.trim().split(/\s+/).slice(1, 9).map(Number);
  const total = ticks.reduce((sum, each) => sum + each, 0);
  const idle = (ticks[3] ?? 0) + (ticks[4] ?? 0);
  return { cpuBusyMs: (total - idle) * clockTickMs, cpuTotalMs: total * clockTickMs };
}

export function parseAvailable(text: string): number {
  const field = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? Number.NaN) * 1024;
  const available = field('MemAvailable');
  if (!Number.isNaN(available)) return available;
  // Kernels before 3.14 have no MemAvailable: what is free and what caches would give back.
  return ['MemFree', 'Buffers', 'Cached'].reduce((sum, name) => sum + (field(name) || 0), 0);
}

/** Bytes over all interfaces but the loopback. */
export function parseNetwork(text: string): { networkReceivedBytes: number; networkSentBytes: number } {
  let networkReceivedBytes = 0;
  let networkSentBytes = 0;
  for (const line of text.split('\n').slice(2)) {
    const colon = line.lastIndexOf(':'); // old kernels allow one in a name, and no space behind the last
    if (colon < 0 || line.slice(0, colon).trim() === 'lo') continue;
    const fields = line
      .slice(colon + 1)
      .trim()
      .split(/\s+/)
      .map(Number);
    networkReceivedBytes += fields[0] ?? 0;
    networkSentBytes += fields[8] ?? 0;
  }
  return { networkReceivedBytes, networkSentBytes };
}

/** /proc/<pid>/stat: the name may hold spaces and brackets, so fields are counted from the last bracket. */
export function parseProcess(stat: string, status: string): ProcessReading {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  const residentKiB = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0);
  return { cpuMs: ticks * clockTickMs, residentBytes: residentKiB * 1024 };
}

/** /proc where it is, systeminformation elsewhere. */
export async function openMachine(): Promise<Machine> {
  try {
    readFileSync('/proc/stat');
    return procMachine;
  } catch {
    const { systemInformationMachine } = await import('./machine-portable.ts');
    return systemInformationMachine();
  }
}
