import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { promisify } from 'node:util';
import { MeshError } from '../../contract/index.ts';
import { type Machine, openMachine, parseCpuTimes } from '../machine.ts';
import { Cgroup } from './cgroup.ts';
import { parseCpuList } from './cpu-list.ts';

/** What of a machine a node measures and may use. */
export interface DeviceScope {
  /** In cores, perhaps a part of one: what its quota allows, or how many there are. */
  readonly cores: number;
  readonly memoryBytes: number;
  readonly machine: Machine;
  /** Puts this process into the scope, and so all that it starts. Throws `MESH_CONFIG_INVALID` when it may not. */
  enter(): Promise<void>;
}

const mend = 'give cgroup:NAME or cpus:LIST, such as cgroup:edge/a or cpus:0-1,3';

/**
 * Throws `MESH_CONFIG_INVALID`.
 *
 * @param text `cgroup:NAME`, `cpus:LIST`; undefined for the whole machine
 * @param root `/` unless a test brings recorded files
 */
export async function openDeviceScope(text: string | undefined, root = '/'): Promise<DeviceScope> {
  const machine = await openMachine();
  const whole = {
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    machine,
    enter: async () => undefined,
  };
  if (text === undefined) return whole;
  const [, kind, name = ''] = /^(cgroup|cpus):(.+)$/.exec(text) ?? [];
  if (kind === 'cgroup') return cgroupScope(await Cgroup.find(name, root), whole);
  const cpus = kind === 'cpus' ? parseCpuList(name) : undefined;
  if (cpus === undefined) throw new MeshError('MESH_CONFIG_INVALID', `"${text}" is no device scope`, { mend });
  return cpusScope(name, cpus, whole);
}

async function cgroupScope(cgroup: Cgroup, whole: DeviceScope): Promise<DeviceScope> {
  const { cores = whole.cores, memoryBytes: limit } = await cgroup.capacity();
  const memoryBytes = Math.min(limit ?? whole.memoryBytes, whole.memoryBytes);
  return {
    cores: Math.min(cores, whole.cores),
    memoryBytes,
    machine: {
      hasQuota: cores < whole.cores,
      async read() {
        const [all, { cpuMs, memoryUsedBytes }] = await Promise.all([whole.machine.read(), cgroup.read()]);
        const left = limit === undefined || memoryUsedBytes === undefined ? undefined : limit - memoryUsedBytes;
        return {
          ...all,
          cpuBusyMs: cpuMs,
          // What it could have used since any moment: time passes, and so much of it is its own.
          cpuTotalMs: performance.now() * Math.min(cores, whole.cores),
          memoryAvailableBytes: Math.max(0, Math.min(all.memoryAvailableBytes, left ?? all.memoryAvailableBytes)),
        };
      },
      readProcesses: (ids) => whole.machine.readProcesses(ids),
    },
    enter: () => cgroup.enter(process.pid),
  };
}

async function cpusScope(list: string, cpus: readonly number[], whole: DeviceScope): Promise<DeviceScope> {
  const readTimes = async () => parseCpuTimes(await readFile('/proc/stat', 'utf8'), cpus);
  try {
    await readTimes();
  } catch (error) {
    throw new MeshError('MESH_CONFIG_INVALID', `cpus:${list} cannot be measured: ${(error as Error).message}`, {
      mend,
    });
  }
  // Several devices on one machine must not offer its memory several times over.
  const part = Math.min(1, cpus.length / whole.cores);
  const memoryBytes = Math.floor(whole.memoryBytes * part);
  return {
    cores: cpus.length,
    memoryBytes,
    machine: {
      async read() {
        const [all, times] = await Promise.all([whole.machine.read(), readTimes()]);
        return { ...all, ...times, memoryAvailableBytes: Math.min(all.memoryAvailableBytes, memoryBytes) };
      },
      readProcesses: (ids) => whole.machine.readProcesses(ids),
    },
    async enter() {
      try {
        // Every thread of ours; what is started later inherits it.
        await promisify(execFile)('taskset', ['-a', '-p', '-c', list, String(process.pid)]);
      } catch (error) {
        const { stderr, message } = error as { stderr?: string; message: string };
        throw new MeshError('MESH_CONFIG_INVALID', `cannot keep to cpus:${list}: ${stderr?.trim() || message}`, {
          mend: 'it needs taskset (Debian: apt-get install util-linux), and processors that are there',
          cause: error,
        });
      }
    },
  };
}
