/// <reference path="../../../node-runtime/engines/webassembly.d.ts" />
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { QuickjsEngine } from '../../../node-runtime/engines/quickjs-engine.ts';
import type { SandboxTask, TaskControl } from '../../../node-runtime/engines/sandbox-engine.ts';
import { quickjsWasm } from './guest.ts';

const secret = 'a secret of the first job';
const idle: TaskControl = {
  stopped: undefined,
  tick: () => false,
  log: () => undefined,
  progress: () => undefined,
  pause: () => undefined,
};

function task(key: string, code: string, memoryBytes = 32 * 1024 ** 2): SandboxTask {
  const limits = { memoryBytes, cpuMs: 5_000, wallMs: 5_000, outputBytes: 1024 ** 2 };
  return {
    key,
    identity: key,
    engine: 'js',
    code: Buffer.from(code),
    shape: {},
    slots: [],
    parameters: undefined,
    limits,
  };
}

describe('the machine of the next job', () => {
  const made: WebAssembly.Memory[] = [];
  const { Memory } = WebAssembly;

  beforeEach(() => {
    made.length = 0;
    const noting = class extends Memory {
      constructor(descriptor: ConstructorParameters<typeof Memory>[0]) {
        super(descriptor);
        made.push(this);
      }
    };
    Reflect.set(WebAssembly, 'Memory', noting);
  });
  afterEach(() => {
    Reflect.set(WebAssembly, 'Memory', Memory);
  });

  const holds = (memory: WebAssembly.Memory, text: string) => Buffer.from(memory.buffer).includes(text);
  const run = async (engine: QuickjsEngine, each: SandboxTask) => {
    const result = await engine.run(each, idle);
    assert.equal(result.type, 'done', JSON.stringify(result));
  };
  const started = async () => {
    const engine = await QuickjsEngine.start(readFileSync(quickjsWasm));
    made.length = 0;
    return engine;
  };

  /** It leaves the secret wherever a guest can: in atoms, strings, buffers, on the C stack, in a heap that had to grow. */
  const leaks = `
    globalThis.kept = { ['${secret}']: '${secret}' };
    const deep = (depth) => (depth === 0 ? '${secret}' : [deep(depth - 1)]);
    export default (task) => {
      const bytes = new Uint8Array(8_000_000);
      for (let at = 0; at < bytes.length; at += 1) bytes[at] = '${secret}'.charCodeAt(at % ${secret.length});
      const nested = deep(20);
      const texts = [];
      for (let n = 0; n < 20_000; n += 1) texts.push('${secret}' + n);
      try { (function down(text) { return down(text + '${secret}') + text.split('').sort().join(''); })(''); } catch {}
      return String(nested).length + JSON.stringify(nested).length + texts.join().length + bytes.length;
    };`;

  it('is that of the job before, and nothing of it is left in it', async () => {
    const engine = await started();
    await run(engine, task('first', leaks));
    assert.equal(made.length, 1);
    assert(holds(made[0]!, secret));
    await run(engine, task('second', "globalThis.mine = 'of the second job'; export default () => 0;"));
    assert.equal(made.length, 1, 'no other machine was made');
    assert(holds(made[0]!, 'of the second job'));
    assert.equal(holds(made[0]!, secret.slice(0, 8)), false, 'the memory of the first job is gone');
  });

  it('holds, byte for byte, what a machine holds in which nothing ever ran', async () => {
    const engine = await started();
    const seeing = (key: string) => task(key, 'export default () => Math.random() < 2;');
    await run(engine, seeing('alone'));
    const alone = Buffer.from(made[0]!.buffer).subarray();
    const expected = Buffer.from(alone);
    await run(engine, task('leaks', leaks));
    await run(engine, seeing('later'));
    const later = Buffer.from(made[0]!.buffer);
    let differing = 0;
    for (let at = 0; at < expected.length; at += 1) if (expected[at] !== later[at]) differing += 1;
    assert(differing <= 16, `${differing} bytes differ: more than the state of Math.random`);
    assert(later.subarray(expected.length).every((byte) => byte === 0));
  });

  it('is made anew when the job before had made it large', async () => {
    const engine = await started();
    await run(engine, task('large', 'export default () => new Uint8Array(20_000_000).length;'));
    await engine.rest();
    assert.equal(made.length, 2, 'resting makes the one that is missing');
    await engine.rest();
    await run(engine, task('second', 'export default () => 0;'));
    assert.equal(made.length, 2, 'the job did not wait for a machine');
  });

  it('is made anew too when a task grew because it was given more memory meanwhile', async () => {
    const engine = await started();
    const grown = task(
      'grown',
      'export default () => { for (let n = 0; n < 200_000; n += 1); return new Uint8Array(20_000_000).length; };',
      16 * 1024 ** 2,
    );
    const raise: TaskControl = {
      ...idle,
      tick: () => {
        Object.assign(grown.limits, { memoryBytes: 30 * 1024 ** 2 });
        return false;
      },
    };
    assert.equal((await engine.run(grown, raise)).type, 'done');
    const before = made.length;
    await run(engine, task('after it', 'export default () => 0;', 16 * 1024 ** 2));
    assert.equal(made.length, before + 1, 'the large machine is not kept');
  });

  it('is another for another limit of memory; a few of them are kept', async () => {
    const engine = await started();
    for (const megabytes of [32, 64, 32, 64]) {
      await run(engine, task(`${megabytes}-${made.length}`, 'export default () => 0;', megabytes * 1024 ** 2));
    }
    assert.equal(made.length, 2);
    for (const megabytes of [1, 2, 3, 4, 5])
      await run(engine, task(`small-${megabytes}`, 'export default () => 0;', megabytes * 1024 ** 2));
    assert.equal(made.length, 7);
    await run(engine, task('first again', 'export default () => 0;'));
    assert.equal(made.length, 8, 'the one that was used longest ago is not kept');
  });
});
