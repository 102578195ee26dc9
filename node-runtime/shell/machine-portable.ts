import { cpus } from 'node:os';
import { currentLoad, mem, networkStats, processLoad } from 'systeminformation';
import type { Machine } from './machine.ts';

/** macOS, Windows, BSD: dearer, and process times are estimated from shares, but the same readings. */
export function systemInformationMachine(): Machine {
  const processes = new Map<number, { cpuMs: number; atMs: number }>();
  return {
    async read() {
      const [memory, networks] = await Promise.all([mem(), networkStats('*'), currentLoad()]);
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
      const loads = await processLoad('*');
      const wanted = loads.filter((each) => processIds.includes(each.pid));
      return new Map(
        wanted.map((each) => {
          const before = processes.get(each.pid) ?? { cpuMs: 0, atMs: nowMs };
          const cpuMs = before.cpuMs + ((nowMs - before.atMs) * each.cpu) / 100;
          processes.set(each.pid, { cpuMs, atMs: nowMs });
          return [each.pid, { cpuMs, residentBytes: 0 }];
        }),
      );
    },
  };
}
