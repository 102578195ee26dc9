import type { MetricSample } from '../contract/index.ts';
import type { Machine, MachineReading } from './machine.ts';
import type { Vitals } from './vitals.ts';

/** The mesh's own processes: what they take is not the device's own work. */
export interface MeshLoad {
  readonly processIds: readonly number[];
  /** CPU time of processes that have ended, milliseconds, cumulative. */
  readonly endedCpuMs: number;
}

export interface Sample extends Omit<MetricSample, 'ageMs'> {
  readonly atMs: number;
}

/**
 * Of a quota that is used up: work of the device that has nearly half of it or more may want any amount. Every smaller part it would have got
 * beside as many others (what each wants that wants less than its part, the rest in equal parts: max-min fairness, Bertsekas and Gallager 1992).
 */
const contention = { usedLeast: 0.95, ownLeast: 0.4 };

/** Turns two readings of the machine into one sample. The first call has nothing to compare with and gives none. */
export class Sampler {
  readonly #machine: Machine;
  readonly #meshLoad: () => MeshLoad;
  readonly #readVitals: () => Promise<Vitals>;
  #before: { readonly atMs: number; readonly machine: MachineReading; readonly meshCpuMs: number } | undefined;
  readonly #processCpuMs = new Map<number, number>();
  #meshCpuMs = 0;
  #endedCpuMs = 0;
  /** What was counted of processes that are gone, but whose whole time is not in `endedCpuMs` yet. */
  #countedOfEndedMs = 0;

  constructor(machine: Machine, meshLoad: () => MeshLoad, readVitals: () => Promise<Vitals> = async () => ({})) {
    this.#machine = machine;
    this.#meshLoad = meshLoad;
    this.#readVitals = readVitals;
  }

  async sample(): Promise<Sample | undefined> {
    const load = this.#meshLoad();
    const [machine, processes, vitals] = await Promise.all([
      this.#machine.read(),
      this.#machine.readProcesses([process.pid, ...load.processIds]),
      this.#readVitals(),
    ]);
    const atMs = performance.now();
    let residentBytes = 0;
    for (const [processId, reading] of processes) {
      this.#meshCpuMs += Math.max(0, reading.cpuMs - (this.#processCpuMs.get(processId) ?? 0));
      this.#processCpuMs.set(processId, reading.cpuMs);
      if (processId !== process.pid) residentBytes += reading.residentBytes;
    }
    for (const [processId, cpuMs] of this.#processCpuMs) {
      if (processes.has(processId)) continue;
      this.#countedOfEndedMs += cpuMs;
      this.#processCpuMs.delete(processId);
    }
    // What an ended process used since it was last read: its whole time less what was counted while it lived. The whole
    // time may come later than its end.
    const endedMs = load.endedCpuMs - this.#endedCpuMs;
    this.#meshCpuMs += Math.max(0, endedMs - this.#countedOfEndedMs);
    this.#countedOfEndedMs = Math.max(0, this.#countedOfEndedMs - endedMs);
    this.#endedCpuMs = load.endedCpuMs;

    const before = this.#before;
    this.#before = { atMs, machine, meshCpuMs: this.#meshCpuMs };
    if (before === undefined) return undefined;
    const seconds = (atMs - before.atMs) / 1000;
    const totalMs = machine.cpuTotalMs - before.machine.cpuTotalMs;
    if (seconds <= 0 || totalMs <= 0) return undefined;
    const cpuShare = share(machine.cpuBusyMs - before.machine.cpuBusyMs, totalMs);
    const meshShare = share(this.#meshCpuMs - before.meshCpuMs, totalMs);
    const ownShare = Math.max(0, cpuShare - meshShare);
    // How much it wants is seen once it has room, and whoever gives it room goes by this: it counts as wanting all.
    const isHeldDown =
      this.#machine.hasQuota === true && cpuShare >= contention.usedLeast && ownShare >= contention.ownLeast;
    return {
      atMs,
      cpuShare,
      cpuBackgroundShare: isHeldDown ? cpuShare : ownShare,
      memoryAvailableBytes: Math.round(machine.memoryAvailableBytes),
      memoryMeshBytes: residentBytes,
      networkReceivedBytesPerSecond: rate(machine.networkReceivedBytes, before.machine.networkReceivedBytes, seconds),
      networkSentBytesPerSecond: rate(machine.networkSentBytes, before.machine.networkSentBytes, seconds),
      ...vitals,
    };
  }
}

function share(part: number, whole: number): number {
  return Math.min(1, Math.max(0, part / whole));
}

/** A counter that went back (an interface that was removed) counts as nothing. */
function rate(now: number, before: number, seconds: number): number {
  return Math.max(0, now - before) / seconds;
}
