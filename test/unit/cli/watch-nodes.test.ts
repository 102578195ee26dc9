import assert from 'node:assert/strict';
import { runCli } from '@foremesh/node-runtime/cli';
import type { NodeRow } from '@foremesh/node-runtime/contract';
import { coloured, plain } from '../../../node-runtime/cli/style.ts';
import { widthOf } from '../../../node-runtime/cli/text.ts';
import { screenOf, stackedBar } from '../../../node-runtime/cli/watch-nodes.ts';
import { until } from '../../support/until.ts';
import { meshOfSuite } from './mesh-of-suite.ts';

const gigabyte = 1_000_000_000;

function row(node: string, change: Partial<NodeRow> = {}, online = true): NodeRow {
  return {
    status: {
      ...{ v: 1, node, bootId: 'b', seq: 1, online, release: '1', arch: 'x64', platform: 'linux', cores: 4 },
      ...{ memoryBytes: 4 * gigabyte, engines: [], speed: {}, labels: [], share: 1, slots: 2, queue: 1 },
      ...{ offeredMemoryBytes: gigabyte, mayLead: true, publicKey: 'A'.repeat(43), admission: 'A'.repeat(43) },
    },
    ...{ running: 1, tasksDone: 0, silentMs: 0, leads: false },
    latest: {
      ...{ ageMs: 0, cpuShare: 0.75, cpuBackgroundShare: 0.25, memoryAvailableBytes: gigabyte },
      ...{ memoryMeshBytes: gigabyte, networkReceivedBytesPerSecond: 0, networkSentBytesPerSecond: 0 },
    },
    ...change,
  };
}

describe('cli: nodes --watch', () => {
  const { mesh, newIo } = meshOfSuite();
  let rows: NodeRow[] | undefined;

  mesh.answer = (ask) => (rows && ask.query === 'nodes' ? { query: 'nodes', nodes: rows, truncated: 0 } : undefined);
  beforeEach(() => {
    rows = [row('bob'), row('ada', { leads: true, running: 0 })];
  });

  function watch(isTTY: boolean, ...more: string[]) {
    const io = newIo({ NO_COLOR: '1' });
    io.stdout.isTTY = isTTY;
    const ended = runCli(['nodes', '--watch', '--every', '500ms', ...more], io);
    return { io, ended };
  }

  it('stacks what the mesh takes and what the device takes for itself, always as wide', () => {
    assert.equal(stackedBar(0.5, 0.25, 8), '████▒▒··');
    assert.equal(stackedBar(0, 0, 4), '····');
    assert.equal(stackedBar(1, 1, 4), '████');
    assert.equal(stackedBar(0, 1, 4), '▒▒▒▒');
    assert.equal(stackedBar(-0.1, 2, 4), '▒▒▒▒');
    assert.equal(stackedBar(Number.MIN_VALUE, 0.3, 4).length, 4);
  });

  it('never draws wider than the terminal, nor more nodes than a screen has', () => {
    const many = Array.from({ length: 100 }, (_, n) => row(`node-${n}`, {}, n !== 3));
    for (const columns of [10, 40, 80, 200])
      for (const paint of [plain, coloured]) {
        const lines = screenOf(many, undefined, columns, paint);
        assert.equal(lines.length, 42);
        for (const line of lines.slice(0, 40)) assert.ok(widthOf(line) <= columns, line);
      }
    assert.match(screenOf(many, undefined, 200, plain).join('\n'), /node-3 +away for 0 ms\n[\s\S]*and 60 nodes more/);
    assert.match(screenOf([row('x')], undefined, 80, plain)[0]!, / runs 1\/2$/, 'all of it fits 80 columns');
    assert.match(screenOf([row('x', { silentMs: 20_000 })], undefined, 200, plain)[0]!, / 20 s ago$/);
  });

  it('draws over what it drew on a terminal, says when nobody answers, goes on, and ends with ^C', async function () {
    this.timeout(60_000);
    const { io, ended } = watch(true);
    const ada = 'ada *             CPU ████████▒▒▒▒····  75 %  memory ████▒▒▒▒▒▒▒▒····  1.0 GB free  runs 0/2\n';
    await until('the nodes are drawn', () => io.text.includes(ada), 10_000);
    assert.ok(io.text.indexOf('ada *') < io.text.indexOf('bob '), 'by name');
    rows = [row('ada', { leads: true, running: 2 })];
    await until(
      'it is drawn over',
      () => io.text.includes('\u001b[3F\u001b[0J') && io.text.includes('runs 2/2'),
      10_000,
    );
    rows = undefined;
    await until('it is told', () => io.text.includes('no node leads'), 30_000);
    rows = [row('cyd')];
    await until('it goes on', () => io.text.includes('cyd '), 30_000);
    assert.equal(io.interrupt(), true);
    assert.equal(await ended, 130);
    assert.equal(io.err, '');
  });

  it('prints a line for each change where there is no terminal', async () => {
    const { io, ended } = watch(false);
    const lines = () => io.text.split('\n').slice(0, -1);
    await until('both nodes are told', () => lines().length === 2, 10_000);
    // The load alone is no change; another task is, and so is a node that goes.
    const asked = mesh.asks.length;
    rows = [row('bob', { latest: { ...row('bob').latest!, cpuShare: 0.9 } }), row('ada', { leads: true, running: 0 })];
    await until('it has looked twice', () => mesh.asks.length >= asked + 2, 10_000);
    assert.equal(lines().length, 2);
    rows = [row('bob', { running: 2 }), row('ada', { silentMs: 5_000 }, false)];
    await until('both are told', () => lines().length === 4, 10_000);
    assert.match(lines()[2]!, /^ada +away for 5\.0 s$/);
    assert.match(lines()[3]!, /^bob .* runs 2\/2$/);
    io.interrupt();
    assert.equal(await ended, 130);
  });

  it('prints a line of JSON each time it has looked', async () => {
    const { io, ended } = watch(false, '--json');
    await until('three lines', () => io.text.split('\n').length > 3, 10_000);
    io.interrupt();
    assert.equal(await ended, 130);
    assert.deepEqual(
      (io.documents[2] as { nodes: NodeRow[] }).nodes.map(({ status }) => status.node),
      ['bob', 'ada'],
    );
  });

  it('refuses to look too often', async () => {
    const io = newIo();
    assert.equal(await runCli(['nodes', '--watch', '--every', '1ms'], io), 2);
    assert.match(io.err, /500ms to 1h/);
  });
});
