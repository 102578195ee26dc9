import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { type Machine, openMachine } from '../../../node-runtime/shell/machine.ts';
import { systemInformationMachine } from '../../../node-runtime/shell/machine-portable.ts';
import { type Sample, Sampler } from '../../../node-runtime/shell/sampler.ts';
import { endAll, later, until } from '../shell/support.ts';

/** A process that burns one core. */
function burn(): ChildProcess {
  const child = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
  later(() => child.kill('SIGKILL'));
  return child;
}

describe('background load on this machine', () => {
  afterEach(endAll);

  const machines: [string, () => Promise<[Machine, Machine]>][] = [
    ['/proc', async () => [await openMachine(), await openMachine()]],
    ['systeminformation', async () => [systemInformationMachine(), systemInformationMachine()]],
  ];
  for (const [name, open] of machines)
    it(`is without what the mesh burns, read from ${name}: of two samplers one calls it its own`, async () => {
      const [machineOfOwner, machineOfOther] = await open();
      const machine = await openMachine();
      const child = burn();
      const own = new Sampler(machineOfOwner, () => ({ processIds: [child.pid!], endedCpuMs: 0 }));
      const foreign = new Sampler(machineOfOther, () => ({ processIds: [], endedCpuMs: 0 }));
      const sampleBoth = async () => [await own.sample(), await foreign.sample()];
      await sampleBoth();
      const started = (await machine.readProcesses([child.pid!])).get(child.pid!)!.cpuMs;
      // As long as it takes for the process to get a good deal of time, however busy the machine is.
      await until('it has burnt a second', async () => {
        const now = (await machine.readProcesses([child.pid!])).get(child.pid!)!.cpuMs;
        return now - started > 1_000;
      });
      const [mine, others] = (await sampleBoth()) as [Sample, Sample];
      assert.ok(Math.abs(mine.cpuShare - others.cpuShare) < 0.2, 'they look at the same machine');
      const burnt = others.cpuBackgroundShare - mine.cpuBackgroundShare;
      assert.ok(burnt > 0.05, `${burnt} of the machine is no background for the one that owns it`);
      assert.ok(mine.memoryMeshBytes > 1024 ** 2);
      assert.equal(others.memoryMeshBytes, 0);
    });
});
