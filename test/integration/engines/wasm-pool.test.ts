import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type EngineOutcome, type EngineRequest, SandboxPool } from '../../../node-runtime/engines/index.ts';
import { bundleSandbox, isAlive, plain } from './harness.ts';

const folder = join(import.meta.dirname, '../../fixtures/wasm');
const codes = new Map(['words', 'hostile'].map((name) => [name, readFileSync(join(folder, `${name}.wasm`))]));
const second = 1_000;

interface Asked {
  readonly job?: string;
  readonly stdin?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly limits?: Partial<EngineRequest['limits']>;
}

/** Engine `wasm` as it is shipped: in a sandbox process. */
describe('engine wasm in the sandbox pool', () => {
  let pool: SandboxPool;
  const waiting = new Map<string, { ended: (outcome: EngineOutcome) => void; started: () => void }>();
  let attempts = 0;

  before(async () => {
    pool = new SandboxPool(
      { slots: 1, entry: await bundleSandbox() },
      {
        started: (attempt) => waiting.get(attempt)?.started(),
        progress: () => undefined,
        log: () => undefined,
        ended: (attempt, outcome) => waiting.get(attempt)?.ended(outcome),
      },
    );
  });
  after(() => pool.close());

  function start(name: string, given: readonly string[], asked: Asked = {}) {
    attempts += 1;
    const attempt = `account/job/task-${attempts}#1.${attempts}`;
    const files = Object.entries(asked.files ?? {}).map(([path, text]) => ({
      path,
      hash: text,
      bytes: Buffer.from(text),
    }));
    let started!: () => void;
    const hasStarted = new Promise<void>((resolve) => {
      started = resolve;
    });
    const outcome = new Promise<EngineOutcome>((ended) => waiting.set(attempt, { ended, started }));
    pool.run({
      attempt,
      job: asked.job ?? 'account/job',
      engine: 'wasm',
      codeHash: name,
      code: codes.get(name)!,
      input: { kind: 'whole', bytes: Buffer.from(asked.stdin ?? '') },
      command: { arguments: given, environment: {}, output: 'text', files },
      limits: {
        memoryBytes: 64 * 1024 ** 2,
        cpuMs: 30 * second,
        wallMs: 60 * second,
        outputBytes: 1024 ** 2,
        ...asked.limits,
      },
    });
    return { attempt, hasStarted, outcome };
  }

  const run = async (name: string, given: readonly string[], asked: Asked = {}) =>
    plain(await start(name, given, asked).outcome);

  it('sends code and files once, and those of each task that are its own', async () => {
    const read = (text: string, path = 'model.bin') =>
      run('words', ['--file', 'model.bin'], { files: { [path]: text } });
    equal(await read('one two'), '2\n');
    equal(await read('one two'), '2\n');
    equal(await read('one two three'), '3\n');
    match(String(await read('one two', 'other.bin')), /MESH_TASK_EXITED \(task\).*model\.bin: No such file/);
    equal(await read('one two'), '2\n');
    equal(await run('words', [], { stdin: 'a b c d' }), '4\n');
  });

  it('keeps one process through traps, full memory, full output, loops and deep calls', async () => {
    const pidOf = () => pool.load().processIds.join();
    await run('words', []);
    const before = pidOf();
    const ends: readonly [what: string, expected: RegExp, limits: NonNullable<Asked['limits']>][] = [
      ['trap', /MESH_TASK_TRAPPED \(task\)/, {}],
      ['deep', /MESH_TASK_TRAPPED \(task\)/, {}],
      ['memory', /MESH_TASK_MEMORY \(task\)/, { memoryBytes: 16 * 1024 ** 2 }],
      ['output', /MESH_TASK_OUTPUT \(task\)/, {}],
      ['loop', /MESH_TASK_CPU \(task\).*used more than its 300 ms/, { cpuMs: 300 }],
      ['sleep', /MESH_TASK_WALL \(task\).*longer than its 300 ms/, { wallMs: 300 }],
    ];
    for (const [what, expected, limits] of ends) match(String(await run('hostile', [what], { limits })), expected);
    equal(pidOf(), before);
    equal(await run('words', [], { stdin: 'a' }), '1\n');
  });

  it('does not keep the memory of tasks that have ended', async () => {
    const pid = pool.load().processIds[0]!;
    const residentKiB = () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]);
    const limits = { memoryBytes: 32 * 1024 ** 2 };
    const fill = async () => {
      for (let round = 0; round < 4; round += 1) await run('hostile', ['memory'], { limits });
      return residentKiB();
    };
    const first = await fill();
    for (let more = 0; more < 4; more += 1) await fill();
    ok(residentKiB() < first + 96 * 1024, `${first} KiB, then ${residentKiB()} KiB`);
    equal(pool.load().processIds[0], pid);
  });

  it('tells what a task took: time, the memory of its instance, what it read and gave', async () => {
    const { outcome } = start('words', [], { stdin: 'one two three' });
    const { type, usage } = await outcome;
    equal(type, 'done');
    ok(usage.cpuMs > 0 && usage.wallMs > 0, JSON.stringify(usage));
    ok(usage.peakMemoryBytes >= 65_536 && usage.peakMemoryBytes % 65_536 === 0, JSON.stringify(usage));
    deepEqual([usage.inputBytes, usage.outputBytes], [13, 2]);
  });

  it('holds a loop that never asks to a part of the CPU', async () => {
    pool.limitCpu(0.25);
    try {
      const { outcome } = start('hostile', ['loop'], { limits: { cpuMs: 400 } });
      const { usage, ...ended } = await outcome;
      match(String(plain({ ...ended, usage } as EngineOutcome)), /MESH_TASK_CPU/);
      ok(usage.cpuMs < usage.wallMs * 0.5, `${usage.cpuMs} ms of CPU in ${usage.wallMs} ms`);
    } finally {
      pool.limitCpu(Number.POSITIVE_INFINITY);
    }
  });

  it('is ended when it is cancelled, in the middle of a loop', async () => {
    const { attempt, hasStarted, outcome } = start('hostile', ['loop']);
    await hasStarted;
    const [pid] = pool.load().processIds;
    pool.cancel(attempt, 'nobody waits for it');
    match(String(plain(await outcome)), /MESH_TASK_CANCELLED \(node\): .*nobody waits for it/);
    equal(await run('words', [], { stdin: 'a b' }), '2\n');
    ok(pool.load().processIds[0] === pid || !isAlive(pid!));
  });
});
