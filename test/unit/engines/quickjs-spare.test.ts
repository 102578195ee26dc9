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
  return { key, engine: 'js', code: Buffer.from(code), shape: {}, slots: [], parameters: undefined, limits };
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

  it('is made while the process rests, and has run nothing before', async () => {
    const engine = await started();
    await run(engine, task('first', `globalThis.kept = '${secret}'; export default () => kept.length;`));
    assert.equal(made.length, 1);
    assert(holds(made[0]!, secret));
    await engine.rest();
    assert.equal(made.length, 2, 'resting makes one machine');
    assert.equal(holds(made[1]!, secret), false);
    await run(engine, task('second', "globalThis.mine = 'of the second job'; export default () => 0;"));
    assert.equal(made.length, 2, 'the job did not wait for a machine');
    assert(holds(made[1]!, 'of the second job'), 'it ran in the machine that was ready');
    assert.equal(holds(made[0]!, 'of the second job'), false, 'it never met the memory of the first');
  });

  it('is one, however long the process rests, and however many jobs there were', async () => {
    const engine = await started();
    for (const job of ['a', 'b', 'c']) {
      await run(engine, task(job, 'export default () => 0;'));
      await engine.rest();
      await engine.rest();
    }
    assert.equal(made.length, 4);
  });

  it('is made for the limit that jobs had last; one for another limit is not used', async () => {
    const engine = await started();
    await run(engine, task('small', 'export default () => 0;'));
    await engine.rest();
    await run(engine, task('large', 'export default () => 0;', 64 * 1024 ** 2));
    assert.equal(made.length, 3);
    await engine.rest();
    await run(engine, task('as large', 'export default () => 0;', 64 * 1024 ** 2));
    assert.equal(made.length, 4);
  });
});
