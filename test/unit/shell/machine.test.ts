import assert from 'node:assert/strict';
import {
  type Machine,
  openMachine,
  parseAvailable,
  parseNetwork,
  parseProcess,
  parseStat,
} from '../../../node-runtime/shell/machine.ts';
import { systemInformationMachine } from '../../../node-runtime/shell/machine-portable.ts';

/** Linux 6.1 on x86-64: ten columns, guest time in the last two is in user already. */
const stat6 = `cpu  10132153 290696 3084719 46828483 16683 0 25195 1000 175628 10
cpu0 1393280 32966 572056 13343292 6130 0 17875 0 23933 0
intr 199292 0 0
ctxt 115315
btime 1700000000
`;
/** Linux 2.6.11: seven columns. */
const stat2 = 'cpu  100 0 50 800 50 0 0\nintr 1\n';

const meminfo6 = `MemTotal:        3884272 kB
MemFree:          150456 kB
MemAvailable:    2710320 kB
Buffers:          150000 kB
Cached:          2300000 kB
SwapCached:            0 kB
HugePages_Total:       0
`;
const meminfo3 = 'MemTotal:  500000 kB\nMemFree:  1000 kB\nBuffers:  200 kB\nCached:  3000 kB\nSwapCached: 70000 kB\n';

const network = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 900000    9000    0    0    0     0          0         0   900000    9000    0    0    0     0       0          0
  eth0: 1000       10    0    0    0     0          0         0      200       2    0    0    0     0       0          0
wlan0:20000 20 0 0 0 0 0 0 3000 3 0 0 0 0 0 0
enxb827eb123456: 300000    1    0    0    0     0          0         0    40000    1    0    0    0     0       0          0
eth0:1: 4000000    1    0    0    0     0          0         0   500000    1    0    0    0     0       0          0
 lo1: 0 0 0 0 0 0 0 0 6000000 0 0 0 0 0 0 0
`;

const processStat = (name: string) =>
  `4242 (${name}) S 1 4242 4242 0 -1 4194560 1042 99 0 0 123 45 7 8 20 0 11 0 5500 1234567 2500 18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0`;
const processStatus = 'Name:\tnode\nVmPeak:\t  999 kB\nVmRSS:\t   51236 kB\nThreads:\t11\n';

describe('readings of /proc', () => {
  it('of processor time: every kernel has the first four columns, and guest time counts once', () => {
    const total = 10132153 + 290696 + 3084719 + 46828483 + 16683 + 0 + 25195 + 1000;
    const idle = 46828483 + 16683;
    assert.deepEqual(parseStat(stat6), { cpuBusyMs: (total - idle) * 10, cpuTotalMs: total * 10 });
    assert.deepEqual(parseStat(stat2), { cpuBusyMs: 1_500, cpuTotalMs: 10_000 });
    assert.deepEqual(parseStat('cpu 1 0 1 2\n'), { cpuBusyMs: 20, cpuTotalMs: 40 });
  });

  it('of memory: what is available, and before Linux 3.14 an estimate of it', () => {
    assert.equal(parseAvailable(meminfo6), 2_710_320 * 1024);
    assert.equal(parseAvailable(meminfo3), 4_200 * 1024);
    assert.equal(parseAvailable('MemFree: 7 kB\n'), 7 * 1024);
    assert.equal(parseAvailable(''), 0);
  });

  it('of the network: every interface but the loopback', () => {
    assert.deepEqual(parseNetwork(network), { networkReceivedBytes: 4_321_000, networkSentBytes: 6_543_200 });
    const many = Array.from({ length: 500 }, (_, n) => `veth${n}: 1 0 0 0 0 0 0 0 2 0 0 0 0 0 0 0`);
    assert.deepEqual(parseNetwork(['', '', ...many, ''].join('\n')), {
      networkReceivedBytes: 500,
      networkSentBytes: 1_000,
    });
    assert.deepEqual(parseNetwork('Inter-|\n face |\n'), { networkReceivedBytes: 0, networkSentBytes: 0 });
  });

  it('of a process: whatever its name is', () => {
    for (const name of ['node', 'tmux: server', '(sd-pam)', ') S 1 (', 'a) R 9 9', '']) {
      assert.deepEqual(
        parseProcess(processStat(name), processStatus),
        { cpuMs: 1_680, residentBytes: 51_236 * 1024 },
        name,
      );
    }
  });

  it('of a process that is a zombie: no memory', () => {
    assert.equal(parseProcess(processStat('node'), 'Name:\tnode\nState:\tZ (zombie)\n').residentBytes, 0);
  });
});

const machines: [string, () => Promise<Machine>][] = [
  ['this machine', openMachine],
  ['this machine through systeminformation', async () => systemInformationMachine()],
];
for (const [name, open] of machines) {
  describe(name, () => {
    it('is read: counters that never fall, memory, and this very process', async function () {
      this.timeout(20_000);
      const machine = await open();
      const before = await machine.read();
      const after = await machine.read();
      assert.ok(after.cpuTotalMs >= before.cpuTotalMs && after.cpuBusyMs >= before.cpuBusyMs);
      assert.ok(after.cpuBusyMs > 0 && after.cpuBusyMs < after.cpuTotalMs);
      for (const value of Object.values(after)) assert.ok(Number.isFinite(value) && value >= 0);
      assert.ok(after.memoryAvailableBytes > 1024 ** 2);
      const nobody = 2 ** 22 + 1;
      const processes = await machine.readProcesses([process.pid, nobody]);
      assert.deepEqual([...processes.keys()], [process.pid]);
      assert.equal((await machine.readProcesses([])).size, 0);
    });
  });
}
