import { deepEqual, equal, match, ok, throws } from 'node:assert/strict';
import { Bench, isAlive, plain } from './harness.ts';

const noop = 'export default (task) => task.parameters ?? 1;';
const endless = 'export default () => { for (;;); }';
const patient = 'export default async () => { for (;;) await null; }';

describe('sandbox pool', () => {
  let bench: Bench;
  const open = async (options: Parameters<typeof Bench.open>[0] = {}) => {
    bench = await Bench.open(options);
    return bench;
  };
  const onePid = () => {
    const { processIds } = bench.pool.load();
    equal(processIds.length, 1);
    return processIds[0]!;
  };

  afterEach('everything ended once, nothing is left', async () => {
    const { processIds } = bench.pool.load();
    await bench.pool.close();
    for (const pid of processIds) equal(isAlive(pid), false);
    for (const [attempt, outcomes] of bench.outcomes) {
      equal(outcomes.length, 1, attempt);
      const story = bench.events.filter((event) => event.startsWith(`${attempt} `));
      equal(story.at(-1), `${attempt} ended`);
    }
  });

  it('has no process until there is work, and none again when it has rested', async () => {
    await open({ idleMs: 50 });
    deepEqual(bench.pool.load(), { processIds: [], endedCpuMs: 0, running: 0, waiting: 0 });
    equal(await bench.value(noop), 1);
    const pid = onePid();
    await bench.until(() => bench.pool.load().processIds.length === 0);
    equal(isAlive(pid), false);
    ok(bench.pool.load().endedCpuMs > 0);
    equal(await bench.value(noop), 1);
  });

  it('reports start, progress, log and outcome with what was used', async () => {
    await open();
    const outcome = await bench.run(
      `export default async (task) => {
        task.progress(0.5);
        for await (const line of task.input) console.log(line);
        return { sum: 3 };
      }`,
      { input: { kind: 'records', by: 'lines', bytes: Buffer.from('a\nb') } },
    );
    deepEqual(bench.events, [
      'attempt-0 started',
      'attempt-0 progress 0.5',
      'attempt-0 log a',
      'attempt-0 log b',
      'attempt-0 ended',
    ]);
    deepEqual(plain(outcome), { sum: 3 });
    const { cpuMs, wallMs, ...counts } = outcome.usage;
    ok(cpuMs >= 0 && wallMs > 0);
    deepEqual(
      { ...counts, peakMemoryBytes: counts.peakMemoryBytes > 50_000 },
      {
        inputBytes: 3,
        outputBytes: 9,
        peakMemoryBytes: true,
      },
    );
  });

  it('runs no more at once than it has slots, and all of what it takes', async () => {
    await open({ slots: 2, queue: 300 });
    const count = 302;
    const attempts = Array.from({ length: count }, (_, i) => bench.start(noop, { parameters: i }));
    const outcomes = await Promise.all(attempts.map((attempt) => bench.outcome(attempt)));
    deepEqual(outcomes.map(plain), [...attempts.keys()]);
    ok(bench.pool.load().processIds.length <= 2);
    deepEqual(
      { ...bench.pool.load(), processIds: 0, endedCpuMs: 0 },
      { processIds: 0, endedCpuMs: 0, running: 0, waiting: 0 },
    );
  });

  it('refuses what is beyond its slots and queue', async () => {
    await open({ slots: 1, queue: 1 });
    const first = bench.start(noop);
    const second = bench.start(noop);
    match(String(await bench.value(noop)), /^MESH_NODE_FULL \(node\)/);
    equal(plain(await bench.outcome(first)), 1);
    equal(plain(await bench.outcome(second)), 1);
    equal(await bench.value(noop), 1);
  });

  it('knows no other engine and no attempt twice', async () => {
    await open();
    const first = bench.start(noop, { attempt: 'same' });
    throws(() => bench.start(noop, { attempt: 'same' }), /has not ended/);
    await bench.outcome(first);
  });

  it('kills what loops without end, by CPU time and by the clock', async () => {
    await open();
    match(String(await bench.value(endless, { limits: { cpuMs: 100 } })), /^MESH_TASK_CPU \(task\)/);
    match(String(await bench.value(endless, { limits: { wallMs: 100 } })), /^MESH_TASK_WALL \(task\)/);
    match(String(await bench.value(patient, { limits: { cpuMs: 100 } })), /^MESH_TASK_CPU \(task\)/);
    match(String(await bench.value(patient, { limits: { wallMs: 100 } })), /^MESH_TASK_WALL \(task\)/);
  });

  it('kills what does not even reach the interrupt, and replaces the process', async () => {
    await open();
    const deaf = `export default () => { const s = 'ab'.repeat(4e6); for (;;) s.indexOf('aab'); }`;
    equal(await bench.value(noop), 1);
    for (const [limits, code] of [
      [{ cpuMs: 100 }, 'MESH_TASK_CPU'],
      [{ wallMs: 100 }, 'MESH_TASK_WALL'],
    ] as const) {
      const pid = bench.pool.load().processIds[0]!;
      const behind = bench.start(noop);
      const outcome = await bench.run(deaf, { limits });
      match(String(plain(outcome)), new RegExp(`^${code} \\(task\\): .* and was killed$`));
      ok(outcome.usage.wallMs > 0);
      equal(isAlive(pid), false);
      equal(plain(await bench.outcome(behind)), 1);
      equal(await bench.value(noop), 1);
    }
  });

  it('bounds memory, from inside and from outside', async () => {
    await open({ residentSlackBytes: -1e9 });
    const bomb = 'export default () => { const all = []; for (;;) all.push({}); }';
    match(String(await bench.value(bomb)), /^MESH_TASK_MEMORY \(task\)/);
    match(String(await bench.value(endless)), /^MESH_TASK_MEMORY \(task\): .* was killed$/);
    await bench.pool.close();
    await open();
    const outcome = await bench.run(bomb);
    match(String(plain(outcome)), /^MESH_TASK_MEMORY \(task\): the task needed/);
    equal(await bench.value(noop), 1);
  });

  it('says so when a process dies by another hand, and gives the rest to a new one', async () => {
    await open();
    const victim = bench.start(endless);
    await bench.until(() => bench.has(`${victim} started`));
    const rest = Array.from({ length: 20 }, (_, i) => bench.start(noop, { parameters: i }));
    process.kill(onePid(), 'SIGKILL');
    match(String(plain(await bench.outcome(victim))), /^MESH_SANDBOX_DIED \(node\): .*SIGKILL/);
    deepEqual((await Promise.all(rest.map((attempt) => bench.outcome(attempt)))).map(plain), [...rest.keys()]);
  });

  it('loses nothing when a process dies among many short tasks', async () => {
    await open({ slots: 2 });
    const count = 250;
    const attempts = Array.from({ length: count }, (_, i) => bench.start(noop, { parameters: i }));
    let kills = 3;
    for (const attempt of attempts.slice(50)) {
      await bench.outcome(attempt);
      const { processIds } = bench.pool.load();
      if (kills > 0 && processIds.length > 0) {
        kills--;
        process.kill(processIds[0]!, 'SIGKILL');
      }
    }
    const outcomes = await Promise.all(attempts.map((attempt) => bench.outcome(attempt)));
    const died = outcomes.filter((outcome) => outcome.type === 'failed');
    ok(died.length <= 3);
    for (const outcome of died) match(String(plain(outcome)), /^MESH_SANDBOX_DIED \(node\)/);
    for (const [i, outcome] of outcomes.entries()) if (outcome.type === 'done') equal(plain(outcome), i);
  });

  it('does not keep short tasks behind a long one', async () => {
    await open({ slots: 2 });
    const mixed = 'export default (task) => { if (task.parameters === "long") for (;;); return 1; }';
    for (let i = 0; i < 100; i++) bench.start(mixed);
    const long = bench.start(mixed, { parameters: 'long' });
    const short = Array.from({ length: 100 }, () => bench.start(mixed));
    await Promise.all(short.map((attempt) => bench.outcome(attempt)));
    equal(bench.outcomes.has(long), false);
    bench.pool.cancel(long, 'enough');
    await bench.outcome(long);
  });

  it('cancels what waits and what never yields', async () => {
    await open({ cancelMs: 50 });
    const deaf = bench.start(endless);
    const waiting = bench.start(noop);
    bench.pool.cancel(waiting, 'not needed');
    equal(plain(await bench.outcome(waiting)), 'MESH_TASK_CANCELLED (node): the attempt was cancelled: not needed');
    await bench.until(() => bench.has(`${deaf} started`));
    const pid = onePid();
    bench.pool.cancel(deaf, 'moved');
    equal(plain(await bench.outcome(deaf)), 'MESH_TASK_CANCELLED (node): the attempt was cancelled: moved');
    equal(isAlive(pid), false);
    bench.pool.cancel('unknown', 'no matter');
    equal(await bench.value(noop), 1);
  });

  it('cancels what yields without killing its process', async () => {
    await open({ cancelMs: 60_000 });
    const yielding = bench.start(patient);
    await bench.until(() => bench.has(`${yielding} started`));
    const pid = onePid();
    bench.pool.cancel(yielding, 'moved');
    equal(plain(await bench.outcome(yielding)), 'MESH_TASK_CANCELLED (node): the attempt was cancelled: moved');
    equal(await bench.value(noop), 1);
    equal(onePid(), pid);
  });

  it('ends all when it is closed', async () => {
    await open({ slots: 2 });
    const running = [bench.start(endless), bench.start(patient)];
    await bench.until(() => running.every((attempt) => bench.has(`${attempt} started`)));
    const waiting = bench.start(noop);
    const { processIds } = bench.pool.load();
    await bench.pool.close();
    for (const pid of processIds) equal(isAlive(pid), false);
    for (const attempt of [...running, waiting]) {
      match(String(plain(await bench.outcome(attempt))), /^MESH_TASK_CANCELLED \(node\)/);
    }
    match(String(await bench.value(noop)), /^MESH_TASK_CANCELLED \(node\)/);
  });

  it('gives up with the reason when no process starts', async () => {
    await open({ entry: { path: '/nowhere/sandbox.mjs', nodeArguments: [] } });
    match(String(await bench.value(noop)), /^MESH_SANDBOX_DIED \(node\): .*Cannot find module/s);
  });

  it('counts CPU time that never falls', async () => {
    await open({ idleMs: 50 });
    const outcome = await bench.run('export default () => { for (let i = 0; i < 1e6; i++); }');
    const spent = outcome.usage.cpuMs;
    await bench.until(() => bench.pool.load().processIds.length === 0);
    const before = bench.pool.load().endedCpuMs;
    ok(before >= spent);
    await bench.value(endless, { limits: { cpuMs: 100 } });
    await bench.until(() => bench.pool.load().processIds.length === 0);
    ok(bench.pool.load().endedCpuMs >= before + 100);
  });

  it('takes large inputs and outputs', async () => {
    await open();
    const list = Array.from({ length: 60_000 }, (_, i) => ({
      id: i,
      name: `user ${i}`,
      tags: ['a', 'b'],
      score: i / 7,
    }));
    const bytes = Buffer.from(list.map((item) => JSON.stringify(item)).join(','));
    const code = `export default async (task) => {
      const kept = [];
      for await (const item of task.input) if (item.id % 2 === 0) kept.push(item);
      return kept;
    }`;
    const value = await bench.value(code, {
      input: { kind: 'records', by: 'items', bytes },
      limits: { memoryBytes: 128 * 1024 ** 2 },
    });
    deepEqual(
      value,
      list.filter(({ id }) => id % 2 === 0),
    );
    match(
      String(await bench.value('export default () => new Uint8Array(2e6)', { limits: { outputBytes: 1e6 } })),
      /^MESH_TASK_OUTPUT \(task\)/,
    );
  });

  it('bounds the log', async () => {
    await open();
    await bench.run('export default () => { for (let i = 0; i < 5000; i++) console.log("x".repeat(3000)); }');
    const lines = bench.events.filter((event) => event.includes(' log '));
    equal(lines.length, 1_000);
    equal(lines.at(-1), 'attempt-0 log (4001 more lines were dropped)');
    equal(lines[0]!.length, 'attempt-0 log '.length + 2_000);
  });

  it('never shows one job to another, nor one task to the next', async () => {
    await open();
    const code = 'globalThis.n = (globalThis.n ?? 0) + 1; let m = 0; export default () => [n++, ++m, typeof secret];';
    const secret = 'globalThis.secret = 1; Object.prototype.secret = 1; export default () => secret;';
    for (let i = 0; i < 6; i++) {
      deepEqual(await bench.value(code, { job: `account/job-${i % 3}` }), [1, 1, 'undefined']);
      equal(await bench.value(secret, { job: `account/job-${i % 2}` }), 1);
    }
    onePid();
  });
});
