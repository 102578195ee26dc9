import assert from 'node:assert/strict';
import { metricSample } from '../../../node-runtime/contract/index.ts';
import type { Machine, MachineReading } from '../../../node-runtime/shell/machine.ts';
import { type MeshLoad, type Sample, Sampler } from '../../../node-runtime/shell/sampler.ts';

/** A machine of four cores that a test moves on by hand. */
class FakeMachine implements Machine {
  hasQuota?: boolean;
  reading: MachineReading = {
    cpuBusyMs: 1e6,
    cpuTotalMs: 1e7,
    memoryAvailableBytes: 1e9,
    networkReceivedBytes: 500,
    networkSentBytes: 700,
  };
  readonly processes = new Map<number, number>([[process.pid, 100]]);
  load: MeshLoad = { processIds: [], endedCpuMs: 0 };
  readonly sampler = new Sampler(this, () => this.load);

  async read() {
    return this.reading;
  }
  async readProcesses(ids: readonly number[]) {
    const living = ids.filter((id) => this.processes.has(id));
    return new Map(living.map((id) => [id, { cpuMs: this.processes.get(id)!, residentBytes: 1000 }]));
  }

  /** A second passes, in which all of the machine is busy for `busyMs` of 4000. */
  async second(busyMs: number, more: Partial<MachineReading> = {}): Promise<Sample | undefined> {
    const { cpuBusyMs, cpuTotalMs } = this.reading;
    this.reading = { ...this.reading, cpuBusyMs: cpuBusyMs + busyMs, cpuTotalMs: cpuTotalMs + 4_000, ...more };
    return this.sampler.sample();
  }

  spend(id: number, ms: number): void {
    this.processes.set(id, (this.processes.get(id) ?? 0) + ms);
  }
}

describe('Sampler', () => {
  let machine: FakeMachine;
  beforeEach(async () => {
    machine = new FakeMachine();
    assert.equal(await machine.sampler.sample(), undefined, 'nothing to compare with');
  });

  it('gives what fits the contract', async () => {
    const { atMs, ...sample } = (await machine.second(1_234.5, {
      networkReceivedBytes: 1_500,
      networkSentBytes: 700,
    }))!;
    assert.ok(atMs > 0);
    assert.deepEqual(metricSample.parse({ ageMs: 0, ...sample }), { ageMs: 0, ...sample });
    assert.ok(sample.networkReceivedBytesPerSecond > 0);
    assert.equal(sample.networkSentBytesPerSecond, 0);
  });

  it('leaves the processes of the mesh out of the background, the runtime itself too', async () => {
    machine.load = { processIds: [7, 8], endedCpuMs: 0 };
    for (const [id, ms] of [
      [7, 1_000],
      [8, 400],
      [process.pid, 200],
    ] as const) {
      machine.spend(id, ms);
    }
    const sample = (await machine.second(2_000))!;
    assert.equal(sample.cpuShare, 0.5);
    assert.ok(Math.abs(sample.cpuBackgroundShare - 0.1) < 1e-9);
    assert.equal(sample.memoryMeshBytes, 2_000, 'tasks, not the runtime');
    const idle = (await machine.second(400))!;
    assert.ok(Math.abs(idle.cpuBackgroundShare - 0.1) < 1e-9);
  });

  it('counts a process that has ended once, though its whole time is told at its end', async () => {
    machine.load = { processIds: [7], endedCpuMs: 0 };
    machine.spend(7, 1_000);
    assert.equal((await machine.second(1_000))!.cpuBackgroundShare, 0);
    machine.processes.delete(7);
    machine.load = { processIds: [], endedCpuMs: 1_300 };
    assert.ok(Math.abs((await machine.second(700))!.cpuBackgroundShare - 0.1) < 1e-9, '300 of 700 were the mesh');
    assert.equal((await machine.second(800))!.cpuBackgroundShare, 0.2);
  });

  it('counts it once also when it has ended before anyone has noticed', async () => {
    machine.load = { processIds: [7, 8], endedCpuMs: 0 };
    machine.spend(7, 1_000);
    machine.spend(8, 500);
    await machine.second(1_500);
    machine.processes.delete(7); // still listed: its exit has not been heard
    machine.processes.delete(8);
    assert.equal((await machine.second(400))!.cpuBackgroundShare, 0.1);
    machine.load = { processIds: [8], endedCpuMs: 1_200 };
    await machine.second(400);
    machine.load = { processIds: [], endedCpuMs: 1_200 + 600 };
    const last = (await machine.second(800))!;
    assert.ok(last.cpuBackgroundShare >= 0.1, `${last.cpuBackgroundShare}: at most what came late is taken off`);
    assert.equal((await machine.second(800))!.cpuBackgroundShare, 0.2);
  });

  it('counts a process that lived between two samples by what it told at its end', async () => {
    machine.load = { processIds: [], endedCpuMs: 400 };
    assert.ok(Math.abs((await machine.second(800))!.cpuBackgroundShare - 0.1) < 1e-9);
  });

  it('takes a process id that is used again for a new process', async () => {
    machine.load = { processIds: [7], endedCpuMs: 0 };
    machine.spend(7, 1_000);
    await machine.second(1_000);
    machine.processes.set(7, 10);
    assert.equal((await machine.second(400))!.cpuBackgroundShare, 0.1);
    machine.spend(7, 400);
    assert.equal((await machine.second(800))!.cpuBackgroundShare, 0.1);
  });

  it('takes own work that has its half of a quota, or more, for work that wants all, until there is room to see', async () => {
    machine.load = { processIds: [7], endedCpuMs: 0 };
    const ownOf = async (ownMs: number, taskMs: number) => {
      machine.spend(7, taskMs);
      return Number((await machine.second(ownMs + taskMs))!.cpuBackgroundShare.toFixed(9));
    };
    assert.equal(await ownOf(2_000, 2_000), 0.5, 'without a quota its priority gives it what it wants');
    machine.hasQuota = true;
    assert.equal(await ownOf(2_000, 2_000), 1, 'it may want any amount');
    assert.equal(await ownOf(2_400, 200), 0.6, 'and here it wants that');
    assert.equal(await ownOf(2_400, 1_200), 0.6, 'with room beside it');
    assert.equal(await ownOf(3_600, 360), 0.99, 'all that was taken');
    assert.equal(await ownOf(1_000, 3_000), 0.25, 'it wants less than its part');
  });

  it('takes counters that went back for nothing, and never leaves 0 to 1', async () => {
    const gone = (await machine.second(0, { networkReceivedBytes: 0, networkSentBytes: 0, cpuBusyMs: 5 }))!;
    assert.deepEqual([gone.networkReceivedBytesPerSecond, gone.networkSentBytesPerSecond, gone.cpuShare], [0, 0, 0]);
    assert.equal((await machine.second(9_000))!.cpuShare, 1);
    machine.spend(process.pid, 50_000);
    assert.equal((await machine.second(2_000))!.cpuBackgroundShare, 0);
    assert.equal(
      await machine.second(0, { cpuTotalMs: 7 }),
      undefined,
      'the machine slept, or its counters began anew',
    );
    assert.equal((await machine.second(2_000))!.cpuShare, 0.5);
  });
});
