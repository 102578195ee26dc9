import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { probeContainment } from '../../../node-runtime/engines/index.ts';
import { skip } from '../../support/skip.ts';
import { until } from '../../support/until.ts';
import { isAlive } from './harness.ts';
import { bundleNodeEntry, NodeBench } from './node-harness.ts';

const bytes = (text: string) => Buffer.from(text);
const record = (by: 'lines' | 'items', text: string) => ({ kind: 'records', by, bytes: bytes(text) }) as const;
const childHead = `import { spawn, execFileSync } from 'node:child_process'; import * as fs from 'node:fs'; import net from 'node:net';`;

describe('engine node', function () {
  this.timeout(60_000);
  let bench: NodeBench;
  let home: string;
  before(async function () {
    const containment = await probeContainment();
    if (containment.kind !== 'namespaces') skip(this, `no walls here: ${JSON.stringify(containment)}`);
    bench = await NodeBench.open({ slots: 4 });
    home = mkdtempSync(join(tmpdir(), 'foremesh-home-'));
    writeFileSync(join(home, 'node.key'), 'secret', { mode: 0o644 });
  });
  after(async () => {
    await bench?.pool.close();
    if (home !== undefined) rmSync(home, { recursive: true, force: true });
  });

  it('a task reads files and blocks and gives files as in engine js', async () => {
    const archive = "return task.files({ 'a.txt': 'one', 'b/c.bin': new Uint8Array([1, 2]) })";
    const given = await bench.value(archive);
    assert.ok(given instanceof Uint8Array && given.length === 2_048);
    const read =
      'return [task.input.length, ...[...task.input].map((file) => [file.name, file.sizeBytes, file.text()])]';
    const blocks = 'return [task.input.start, [...task.input].map((block) => block.length)]';
    assert.deepEqual(
      await Promise.all([
        bench.value(read, { input: { kind: 'records', by: 'files', bytes: given } }),
        bench.value(blocks, { input: { kind: 'records', by: 'bytes', bytes: bytes('abc'), start: 30 } }),
      ]),
      [
        [2, ['a.txt', 3, 'one'], ['b/c.bin', 2, '\u0001\u0002']],
        [30, [3]],
      ],
    );
  });

  it('its log has its own words alone, not those of what starts it (which `unshare` says in one of a dozen attempts)', async () => {
    const quiet = await NodeBench.open({ slots: 4, queue: 40 });
    await Promise.all(Array.from({ length: 40 }, () => quiet.value("console.error('mine')")));
    await quiet.pool.close();
    assert.deepEqual(quiet.lines, new Array<string>(40).fill('mine'));
  });

  it('a task reads, computes and gives as in engine js', async () => {
    const sum =
      'let sum = 0; for await (const each of task.input) { sum += Number(each); await task.yield(); } return sum;';
    const whole = 'return [task.input.length, task.input.sizeBytes, task.input.text(), [...task.input]];';
    const needs = {
      a: { encoding: 'json', bytes: bytes('[1]') },
      b: [{ encoding: 'text', bytes: bytes('x') }],
    } as const;
    const results = await Promise.all([
      bench.value(sum, { input: record('lines', '1\r\n2\n3') }),
      bench.value(sum, { input: record('items', '1, 2,\n 40') }),
      bench.value(whole, { input: { kind: 'whole', bytes: bytes('a\n\nb\n') } }),
      bench.value('return task.needs', { input: { kind: 'outputs', needs } }),
      bench.value('return task.parts', { input: { kind: 'parts', parts: [{ encoding: 'json', bytes: bytes('7') }] } }),
      bench.value('return task.parameters.deep', { parameters: { deep: [1, null] } }),
      bench.value("return task.text('plain')"),
      bench.value('return new Uint8Array([1, 2])'),
      bench.value('return undefined'),
    ]);
    assert.deepEqual(
      results.map((each) => (each instanceof Uint8Array ? [...each] : each)),
      [6, 43, [3, 5, 'a\n\nb\n', ['a', '', 'b']], { a: [1], b: ['x'] }, [7], [1, null], 'plain', [1, 2], null],
    );
    await bench.value("task.log('hello', { a: 1 }); console.log('there'); console.error('too'); task.progress(0.5)");
    assert.deepEqual([...bench.lines].sort(), ['hello { a: 1 }', 'there', 'too']);
    assert.deepEqual(bench.progress, [0.5]);
  });

  it('its own faults are told apart, and each ends the task alone', async () => {
    const found = await Promise.all([
      bench.value("throw new Error('no such luck')"),
      bench.value(
        "setTimeout(() => { throw new Error('later') }); await new Promise(() => setTimeout(() => {}, 1e6));",
      ),
      bench.value('', {}, 'import "left-pad";'),
      bench.value('', {}, 'this is no code'),
      bench.value('process.exit(3)'),
      bench.value('return 1n'),
      bench.value("return 'x'.repeat(2e6)"),
      bench.value('for (;;);', { limits: { cpuMs: 300 } }),
      bench.value('await new Promise((r) => setTimeout(r, 1e6))', { limits: { wallMs: 300 } }),
      bench.value('const all = []; for (;;) all.push(new Array(1e5).fill(all.length))'),
      bench.value('const all = []; for (;;) { all.push(Buffer.alloc(1e7, 1)); await task.yield(); }'),
      bench.value("for (;;) fs.writeSync(3, 'nonsense that is no frame');", {}, childHead),
    ]);
    const codes = found.map((each) => String(each).split(':')[0]);
    assert.deepEqual(
      codes,
      [
        'MESH_TASK_THREW (task)',
        'MESH_TASK_THREW (task)',
        'MESH_TASK_CODE_INVALID (task)',
        'MESH_TASK_CODE_INVALID (task)',
        'MESH_TASK_THREW (task)',
        'MESH_TASK_OUTPUT (task)',
        'MESH_TASK_OUTPUT (task)',
        'MESH_TASK_CPU (task)',
        'MESH_TASK_WALL (task)',
        'MESH_TASK_MEMORY (task)',
        'MESH_TASK_MEMORY (task)',
        'MESH_TASK_OUTPUT (task)',
      ],
      found.join('\n'),
    );
    assert.match(String(found[0]), /no such luck/);
    assert.match(String(found[4]), /exit code 3/);
    assert.equal(await bench.value('return 1'), 1);
  });

  it('walls: no network, no home, nothing to write, nobody else to see, no way out through a link', async () => {
    const look = `
      const tell = (run) => { try { return String(run()); } catch (error) { return error.code ?? error.message; } };
      const connect = await new Promise((done) => net.connect(1, '127.0.0.1').on('error', (error) => done(error.code)).on('connect', () => done('connected')));
      fs.symlinkSync('${home}/node.key', 'link');
      fs.symlinkSync('/proc/1/root${home}/node.key', 'link-2');
      return {
        connect,
        home: tell(() => fs.readFileSync('${home}/node.key')),
        link: tell(() => fs.readFileSync('link')),
        link2: tell(() => fs.readFileSync('link-2')),
        write: tell(() => fs.writeFileSync('/usr/bin/evil', 'x')),
        homeWrite: tell(() => fs.writeFileSync('${home}/evil', 'x')),
        nested: tell(() => execFileSync('unshare', ['-Ur', 'id'], { stdio: 'ignore' })).includes('failed'),
        processes: fs.readdirSync('/proc').filter((name) => /^\\d+$/.test(name)).length < 8,
        environment: Object.keys(process.env).sort(),
        isRoot: tell(() => fs.readFileSync('/proc/self/status', 'latin1').match(/CapEff:\\s*(\\w+)/)[1]),
        kill: tell(() => process.kill(${process.pid}, 0)),
        scratch: tell(() => { fs.writeFileSync('mine', 'x'); return fs.readFileSync('mine', 'utf8'); }),
      };`;
    assert.deepEqual(await bench.value(look, {}, childHead), {
      connect: 'ENETUNREACH',
      home: 'ENOENT',
      link: 'ENOENT',
      link2: 'EACCES',
      write: 'EROFS',
      homeWrite: 'ENOENT',
      nested: true,
      processes: true,
      environment: ['HOME', 'PATH'],
      isRoot: '0000000000000000',
      kill: 'ESRCH',
      scratch: 'x',
    });
    assert.deepEqual(readdirSync(home), ['node.key']);
    const full = "try { for (;;) fs.appendFileSync('mine', Buffer.alloc(1e6)); } catch (error) { return error.code; }";
    assert.equal(await bench.value(full, {}, childHead), 'ENOSPC');
  });

  it('with the network, when it may: that of the machine', async () => {
    const { createServer } = await import('node:net');
    const server = createServer((socket) => socket.end('hi')).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    const body = `return new Promise((done) => net.connect(${port}, '127.0.0.1').on('data', (data) => done(String(data))).on('error', (error) => done(error.code)))`;
    assert.equal(await bench.value(body, { network: true }, childHead), 'hi');
    assert.equal(await bench.value(body, {}, childHead), 'ENETUNREACH');
    server.close();
  });

  it('a fork bomb is bounded, and all that it has started is gone with it', async () => {
    const bomb = `const grow = 'grow() { grow | grow & }; grow; sleep 1000';
      spawn('sh', ['-c', grow], { detached: true, stdio: 'ignore' });
      for (;;) { spawn('sh', ['-c', 'while :; do sleep 1000 & done'], { stdio: 'ignore' }).on('error', () => {}); await task.yield(); }`;
    const attempt = bench.start(bomb, { limits: { wallMs: 1_500 } }, childHead);
    let most = 0;
    const ids = new Set<number>();
    await until('the bomb has been ended', () => {
      for (const pid of bench.pool.load().processIds) ids.add(pid);
      most = Math.max(most, bench.pool.load().processIds.length);
      return bench.outcomes.has(attempt);
    });
    const outcome = bench.outcomes.get(attempt)!;
    assert.equal(outcome.type, 'failed');
    assert.ok(most > 10 && most < 200, `${most} processes`);
    await until('none of it lives', () => ![...ids].some(isAlive));
    assert.equal(await bench.value('return 1'), 1);
  });

  it('a grandchild that outlives the task, in a session of its own, does not', async () => {
    const body = `spawn('setsid', ['sleep', '54321'], { detached: true, stdio: 'inherit' }).unref();
      while (!fs.readdirSync('/proc').some((id) => { try { return fs.readFileSync('/proc/' + id + '/cmdline', 'utf8').startsWith('sleep'); } catch {} })) await task.yield();
      return 1;`;
    assert.equal(await bench.value(body, {}, childHead), 1);
    assert.deepEqual(sleepers('54321'), []);
  });

  it('cancelled: everything of it is gone when that is told', async () => {
    const attempt = bench.start("spawn('sleep', ['65432'], { detached: true }); for (;;);", {}, childHead);
    await until('it has a child', () => sleepers('65432').length === 1);
    const { processIds } = bench.pool.load();
    bench.pool.cancel(attempt, 'enough');
    const outcome = await bench.outcome(attempt);
    assert.ok(outcome.type === 'failed' && outcome.code === 'MESH_TASK_CANCELLED' && outcome.fault === 'node');
    await until('none of it lives', () => !processIds.some(isAlive));
  });

  it('a short one tells what it took: time, and memory at its end, though nobody has looked meanwhile', async () => {
    const fill = 'const all = Buffer.alloc(100 * 1024 ** 2, 1); return all.length / 1024 ** 2 + task.input.length';
    const { type, usage } = await bench.outcome(bench.start(fill, { input: record('lines', 'a\nb') }));
    assert.equal(type, 'done');
    assert.ok(usage.cpuMs > 0 && usage.wallMs > 0, JSON.stringify(usage));
    assert.ok(usage.peakMemoryBytes > 90 * 1024 ** 2 && usage.peakMemoryBytes < 250 * 1024 ** 2, JSON.stringify(usage));
    assert.deepEqual([usage.inputBytes, usage.outputBytes], [3, 3]);
  });

  it('what its children use counts: against its limit, and not as the own work of the device', async () => {
    const before = bench.pool.load().endedCpuMs;
    const child = "execFileSync(process.execPath, ['-e', 'const end = Date.now() + 400; while (Date.now() < end);'])";
    const outcome = await bench.outcome(bench.start(`${child}; return 1`, {}, childHead));
    assert.equal(outcome.type, 'done');
    assert.ok(outcome.usage.cpuMs >= 250, `${outcome.usage.cpuMs} ms`);
    assert.ok(bench.pool.load().endedCpuMs - before >= outcome.usage.cpuMs - 20);
    const spawned =
      "for (let i = 0; i < 3; i++) spawn(process.execPath, ['-e', 'for (;;);']); await new Promise(() => setTimeout(() => {}, 1e6))";
    assert.match(String(await bench.value(spawned, { limits: { cpuMs: 1_000 } }, childHead)), /^MESH_TASK_CPU/);
  });

  it('held to its share of the CPU, with all its threads and children, and its time is not counted meanwhile', async () => {
    bench.pool.limitCpu(0.25);
    const busy = "spawn(process.execPath, ['-e', 'for (;;);']); for (;;);";
    const attempt = bench.start(busy, {}, childHead);
    await until('it runs', () => bench.started.has(attempt));
    const spent = () => {
      const { cpuMs } = bench.pool.measured(attempt)!;
      return { cpuMs, atMs: performance.now() };
    };
    const first = spent();
    await until('some time has passed', () => performance.now() - first.atMs > 2_000);
    const last = spent();
    const share = (last.cpuMs - first.cpuMs) / (last.atMs - first.atMs);
    assert.ok(share < 0.45, `${share} of a core`);
    bench.pool.cancel(attempt, 'enough');
    await bench.outcome(attempt);
    bench.pool.limitCpu(Number.POSITIVE_INFINITY);
  });

  it('dies with the runtime, be it killed', async () => {
    const parent = fileURLToPath(new URL('./node-parent.ts', import.meta.url));
    const entry = await bundleNodeEntry();
    const tsx = [
      '--conditions=mesh-source',
      '--import',
      pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href,
    ];
    const child = spawn(process.execPath, [...tsx, parent, entry.path], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (
      await new Promise<string>((resolve) => child.stdout.once('data', (data) => resolve(String(data))))
    ).split('\n');
    const { processIds } = JSON.parse(line!) as { processIds: number[] };
    assert.ok(processIds.length >= 4 && processIds.every(isAlive), line);
    child.kill('SIGKILL');
    await until('none of it lives', () => !processIds.some(isAlive));
  });

  it('without walls: refused, unless the owner has said so; then its group ends as one', async () => {
    const refused = await NodeBench.open({ containment: { kind: 'refused', reason: 'no namespaces' } });
    assert.match(String(await refused.value('return 1')), /^MESH_CODE_UNCONTAINED \(node\): .*--unsandboxed/);
    await refused.pool.close();

    const bare = await NodeBench.open({
      containment: { kind: 'refused', reason: 'none' },
      unsandboxed: true,
      slots: 2,
    });
    assert.equal(await bare.value('return task.parameters + 1', { parameters: 1 }), 2);
    const folder = (await bare.value("fs.writeFileSync('mine', 'x'); return process.cwd()", {}, childHead)) as string;
    assert.equal(existsSync(folder), false, 'its folder went with it');
    const body =
      "spawn('setsid', ['sleep', '76543'], { detached: true, stdio: 'ignore' }).unref(); spawn('sleep', ['76543']); for (;;);";
    const attempt = bare.start(body, {}, childHead);
    await until('both sleep', () => sleepers('76543').length === 2);
    bare.pool.cancel(attempt, 'enough');
    await bare.outcome(attempt);
    await until('none of them does', () => sleepers('76543').length === 0);
    await bare.pool.close();
  });
});

function sleepers(seconds: string): number[] {
  const commandOf = (pid: string): string => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
    } catch {
      return '';
    }
  };
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && commandOf(pid) === `sleep\0${seconds}\0`)
    .map(Number)
    .filter(isAlive);
}
