import { cpus, platform } from 'node:os';
import { processes as allProcesses, mem, networkStats } from 'systeminformation';
import type { Machine, ProcessReading } from './machine.ts';

/** macOS, Windows, BSD: dearer, and process times are estimated from shares, but the same readings. */
export function systemInformationMachine(): Machine {
  let known = new Map<number, { cpuMs: number; atMs: number }>();
  // `ps` gives percent of one core, systeminformation's own readings percent of all.
  const coresOfPercent = platform() === 'win32' || platform() === 'linux' ? cpus().length : 1;
  return {
    async read() {
      const [memory, networks] = await Promise.all([mem(), networkStats('*')]);
      const times = cpus().map((each) => each.times);
      const total = times.reduce((sum, each) => sum + each.user + each.nice + each.sys + each.idle + each.irq, 0);
      const idle = times.reduce((sum, each) => sum + each.idle, 0);
      const outside = networks.filter((each) => !each.iface.startsWith('lo'));
      return {
        cpuBusyMs: total - idle,
        cpuTotalMs: total,
        memoryAvailableBytes: memory.available,
        networkReceivedBytes: outside.reduce((sum, each) => sum + each.rx_bytes, 0),
        networkSentBytes: outside.reduce((sum, each) => sum + each.tx_bytes, 0),
      };
    },
    async readProcesses(processIds) {
      if (processIds.length === 0) return new Map();
      const nowMs = performance.now();
      // One by one: `processLoad` would put all processes of one name together.
      const { list } = await allProcesses();
      const readings = new Map<number, ProcessReading>();
      for (const { pid, cpu, memRss } of list) {
        if (!processIds.includes(pid)) continue;
        const before = known.get(pid) ?? { cpuMs: 0, atMs: nowMs };
        const cpuMs = before.cpuMs + ((nowMs - before.atMs) * cpu * coresOfPercent) / 100;
        readings.set(pid, { cpuMs, residentBytes: memRss * 1024 });
      }
      known = new Map([...readings].map(([pid, { cpuMs }]) => [pid, { cpuMs, atMs: nowMs }]));
      return readings;
    },
  };
}
