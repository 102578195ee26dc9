import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { QuickjsEngine } from '../../../node-runtime/engines/quickjs-engine.ts';
import type { Machine } from '../../../node-runtime/engines/quickjs-machine.ts';
import type { TaskControl } from '../../../node-runtime/engines/sandbox-engine.ts';
import { quickjsWasm } from './guest.ts';

const control: TaskControl = {
  stopped: undefined,
  tick: () => false,
  log: () => undefined,
  progress: () => undefined,
  pause: () => undefined,
};

/** Uses heap and stack in many ways; not to an overflow, which in this process would be V8's, after which a machine is thrown away. */
const busy = `
  const kept = [];
  const deep = (n) => (n < 80 ? 1 + deep(n + 1) : 1);
  export default (task) => {
    for (let i = 0; i < 20_000; i++) kept.push('secret' + i, { secret: i / 3 }, [i, -i]);
    JSON.parse(JSON.stringify(kept)).sort(() => Math.random() - 0.5);
    /(s+e?)+c(r|e)*t$/.exec('secret'.repeat(20));
    eval('['.repeat(20) + ']'.repeat(20));
    return [deep(0) > 0, task.parameters, new Uint8Array(1e6).fill(0xa5).length];
  }`;

async function run(engine: QuickjsEngine, key: string, code = busy): Promise<unknown> {
  const limits = { memoryBytes: 32 * 1024 ** 2, cpuMs: 60_000, wallMs: 60_000, outputBytes: 1024 ** 2 };
  const task = { key, engine: 'js', code: Buffer.from(code), shape: {}, slots: [], parameters: key, limits } as const;
  const result = await engine.run(task, control);
  assert.equal(result.type, 'done', JSON.stringify(result));
  return result.type === 'done' ? JSON.parse(Buffer.from(result.bytes).toString()) : undefined;
}

function spareOf(engine: QuickjsEngine): Machine | undefined {
  return (engine as unknown as { spare?: { machine: Machine } }).spare?.machine;
}

describe('a machine that goes from one job to another', () => {
  it('holds, byte for byte, what a new one holds', async () => {
    const engine = await QuickjsEngine.start(readFileSync(quickjsWasm));
    await run(engine, 'first');
    await engine.rest();
    const fresh = new Uint8Array(spareOf(engine)!.memory.buffer).slice();
    await run(engine, 'second'); // takes the spare one
    assert.equal(spareOf(engine), undefined);
    await run(engine, 'second');
    engine.forget('second');
    const wiped = new Uint8Array(spareOf(engine)!.memory.buffer);
    assert.equal(Buffer.compare(wiped.subarray(0, fresh.length), fresh), 0);
    assert.ok(wiped.subarray(fresh.length).every((byte) => byte === 0));
  });

  it('runs the next job as a new one does', async () => {
    const engine = await QuickjsEngine.start(readFileSync(quickjsWasm));
    for (let job = 0; job < 12; job += 1) {
      assert.deepEqual(await run(engine, `job-${job}`), [true, `job-${job}`, 1e6]);
      assert.equal(await run(engine, `other-${job}`, 'export default () => typeof kept;'), 'undefined');
      engine.forget(`job-${job}`);
      await engine.rest();
      engine.forget(`other-${job}`);
    }
  });
});
