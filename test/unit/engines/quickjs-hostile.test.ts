import { deepEqual, equal, match, notDeepEqual, notEqual, ok } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { QuickjsHost } from '../../../node-runtime/engines/quickjs-host.ts';
import { evalAsScript, Machine } from '../../../node-runtime/engines/quickjs-machine.ts';
import { evaluate, guest, quickjsWasm } from './guest.ts';

const fails = async (expression: string, pattern: RegExp, options = {}) =>
  match(String(await evaluate(expression, options)), pattern);
const codeFails = async (code: string, pattern: RegExp, options = {}) =>
  match(String((await guest(code, options)).value), pattern);

describe('hostile and broken code in engine js', () => {
  afterEach('the engine still works', async () => {
    equal(await evaluate('6 * 7'), 42);
  });

  it('throws all kinds of things', async () => {
    const thrown = (value: string) => `(() => { throw ${value}; })()`;
    await fails(thrown('new RangeError("boo")'), /^MESH_TASK_THREW: RangeError: boo \(task\.js:1:\d+\)$/);
    await fails(thrown('null'), /^MESH_TASK_THREW: threw null: null$/);
    await fails(thrown('undefined'), /^MESH_TASK_THREW: threw undefined: undefined$/);
    await fails(thrown('"text"'), /^MESH_TASK_THREW: threw string: text$/);
    await fails(thrown('Symbol("s")'), /^MESH_TASK_THREW: threw symbol: Symbol\(s\)$/);
    await fails(thrown('10n'), /^MESH_TASK_THREW: threw bigint: 10$/);
    await fails(thrown('{ a: 1 }'), /^MESH_TASK_THREW: threw object: \{"a":1\}$/);
    await fails(thrown('() => 1'), /^MESH_TASK_THREW: /);
    await fails(
      thrown('new Proxy({}, { get() { throw 1; }, getPrototypeOf() { throw 2; }, ownKeys() { throw 3; } })'),
      /^MESH_TASK_THREW: /,
    );
    await fails(
      thrown(
        '{ get message() { throw 1; }, get name() { throw 2; }, get stack() { throw 3; }, toString() { throw 4; } }',
      ),
      /^MESH_TASK_THREW: /,
    );
    await fails(
      thrown('Object.assign(new Error("x"), { toString() { throw 1; }, message: { toString() { throw 2; } } })'),
      /^MESH_TASK_THREW: /,
    );
    await fails(thrown('Object.create(null)'), /^MESH_TASK_THREW: /);
    await fails(thrown('new Error("x".repeat(1e6))'), /^MESH_TASK_THREW: Error: x{100,3000}/);
    await fails('Promise.reject(new Error("later"))', /^MESH_TASK_THREW: Error: later/);
    await fails('({ then() { throw new Error("thenable"); } })', /^MESH_TASK_THREW: Error: thenable/);
    await fails('({ get then() { throw new Error("getter"); } })', /^MESH_TASK_THREW: Error: getter/);
  });

  it('is stopped while it describes what it threw', async () => {
    const endless = '(() => { throw { get message() { for (;;); } }; })()';
    await fails(endless, /^MESH_TASK_CPU: /, { ticks: 20 });
  });

  it('loops for ever, also in catch and finally', async () => {
    await fails('(() => { for (;;); })()', /^MESH_TASK_CPU: /, { ticks: 20 });
    await fails('(() => { for (;;) { try { for (;;); } catch {} finally { for (;;); } } })()', /^MESH_TASK_CPU: /, {
      ticks: 20,
    });
    await fails('(async () => { for (;;) await 1; })()', /^MESH_TASK_CPU: /, { ticks: 20 });
    await fails(
      '(async () => { for (;;) { try { await (async () => { for (;;); })(); } catch {} } })()',
      /^MESH_TASK_CPU: /,
      { ticks: 20 },
    );
    await fails(
      '(() => { const f = () => Promise.resolve().then(f); f(); return new Promise(() => {}); })()',
      /^MESH_TASK_CPU: /,
      { ticks: 20 },
    );
    await fails('({ toJSON() { for (;;); } })', /^MESH_TASK_CPU: /, { ticks: 20 });
    await codeFails('for (;;); export default () => 1;', /^MESH_TASK_CPU: /, { ticks: 20 });
    await codeFails('for (;;) await 1; export default () => 1;', /^MESH_TASK_CPU: /, { ticks: 20 });
  });

  it('never settles', async () => {
    await fails('new Promise(() => {})', /^MESH_TASK_THREW: .*never settles/);
    await fails('({ then() {} })', /^MESH_TASK_THREW: .*never settles/);
    await codeFails('await new Promise(() => {}); export default () => 1;', /^MESH_TASK_CODE_INVALID: .*never settles/);
  });

  it('eats memory', async () => {
    const memory = /^MESH_TASK_MEMORY: the task needed more than its 8388608 bytes/;
    const limits = { memoryBytes: 8 * 1024 ** 2 };
    for (const bomb of [
      'const all = []; for (;;) all.push("x".repeat(1e6) + all.length);',
      'const all = []; for (;;) all.push({});',
      'const all = []; for (;;) { await 1; all.push(new Array(1000).fill(1)); }',
      'return new Uint8Array(1e9);',
      'return [new ArrayBuffer(2 ** 30), 1];',
      'let all = []; for (;;) all = [all, all.length];',
      'const all = []; for (;;) { try { for (;;) all.push("y".repeat(1e5) + all.length); } catch {} }',
      'const all = new Map(); for (let i = 0; ; i++) all.set(i, new Promise(() => {}));',
      'return "x".repeat(2 ** 29);',
      'return JSON.stringify(Array(1e6).fill("0123456789"));',
    ]) {
      const { value, result } = await guest(`export default async () => { ${bomb} }`, { limits });
      match(String(value), memory, bomb);
      ok(result.peakMemoryBytes < 24 * 1024 ** 2, `${bomb} ${result.peakMemoryBytes}`);
    }
  });

  it('makes numbers without end', async () => {
    await fails('(() => { let big = 3n; for (;;) big *= big; })()', /^MESH_TASK_(THREW|MEMORY): /);
  });

  it('recurses without end', async () => {
    const threw = /^MESH_TASK_THREW: .*(stack overflow)/;
    await fails('(function f() { return f() + 1; })()', threw);
    await fails('(function f() { try { return f() + 1; } finally { f(); } })()', /^MESH_TASK_(THREW|CPU): /, {
      ticks: 1,
    });
    await fails(
      '(() => { const a = []; a[0] = a; return JSON.stringify(Array(1e5).fill().reduce((x) => [x], 1)); })()',
      threw,
    );
    await fails('JSON.parse("[".repeat(1e5))', threw);
    await fails('eval("[".repeat(1e5))', threw);
    await fails('eval("(".repeat(1e5))', threw);
    await fails('new RegExp("(".repeat(1e5))', /^MESH_TASK_THREW: /);
    await fails('/(a*)*b/.test("a".repeat(1e4))', /^MESH_TASK_(THREW|CPU): |false/, { ticks: 1000 });
    await fails('(() => { let p = {}; for (let i = 0; i < 1e5; i++) p = new Proxy(p, {}); return p.x; })()', threw);
    await fails('(() => { const o = {}; o.toString = () => String(o); return String(o); })()', threw);
    await fails('(() => { const f = () => [1].sort(f) && [2, 1].sort(f); return f(); })()', threw);
  });

  it('gives what has no JSON, or too much of it', async () => {
    await fails('(() => { const a = []; a.push(a); return a; })()', /^MESH_TASK_OUTPUT: .*circular/);
    await fails('10n', /^MESH_TASK_OUTPUT: .*BigInt/);
    await fails('() => 1', /^MESH_TASK_OUTPUT: .*function has no JSON/);
    await fails('Symbol()', /^MESH_TASK_OUTPUT: .*symbol has no JSON/);
    await fails('({ toJSON() { throw new Error("no"); } })', /^MESH_TASK_OUTPUT: .*no/);
    const limits = { outputBytes: 100 };
    await fails('"x".repeat(99)', /^MESH_TASK_OUTPUT: the output may have 100 bytes and has 101$/, { limits });
    await fails('task.text("é".repeat(51))', /^MESH_TASK_OUTPUT: .* has 102$/, { limits });
    await fails('task.text("\\0".repeat(101))', /^MESH_TASK_OUTPUT: .* has 101$/, { limits });
    await fails('new Uint8Array(101)', /^MESH_TASK_OUTPUT: .* has 101$/, { limits });
    deepEqual(await evaluate('task.text("\\0".repeat(100))', { limits }), '\u0000'.repeat(100));
  });

  it('does not compile, or has no function to call', async () => {
    await codeFails(
      'const a = 1;\n\nexport default () => { let ; }',
      /^MESH_TASK_CODE_INVALID: SyntaxError: .*\(task\.js:3:\d+\)$/,
    );
    await codeFails('export const a = 1;', /^MESH_TASK_CODE_INVALID: .*no default export/);
    await codeFails('export default 5;', /^MESH_TASK_CODE_INVALID: .*no default export/);
    await codeFails('', /^MESH_TASK_CODE_INVALID: /);
    await codeFails('import fs from "node:fs"; export default () => 1;', /could not load module 'node:fs'/);
    await codeFails('throw new SyntaxError("mine"); export default () => 1;', /^MESH_TASK_THREW: SyntaxError: mine/);
    await codeFails('export default () => 1; const x = null; x.y;', /^MESH_TASK_THREW: TypeError/);
    equal((await guest('const x = await Promise.resolve(4); export default () => x;')).value, 4);
  });

  it('looks for the host', async () => {
    const names = [
      'process',
      'require',
      'module',
      'global',
      'Buffer',
      'fetch',
      'WebAssembly',
      'setTimeout',
      'std',
      'os',
      'host',
    ];
    deepEqual(await evaluate(`${JSON.stringify(names)}.filter((name) => name in globalThis)`), []);
    await fails('import("node:fs")', /^MESH_TASK_THREW: .*could not load module/);
    await fails('import("file:///etc/passwd")', /^MESH_TASK_THREW: .*could not load module/);
    deepEqual(await evaluate('Function("return typeof process + typeof require")()'), 'undefinedundefined');
    deepEqual(await evaluate('(async () => {}).constructor("return typeof process")()'), 'undefined');
    deepEqual(await evaluate('task.log.constructor("return typeof process")()'), 'undefined');
  });

  it('says nonsense through the host call, if it ever got hold of it', async () => {
    const machine = await Machine.create(await Machine.compile(readFileSync(quickjsWasm)), 0);
    machine.boot();
    const task = {
      key: 'k',
      identity: 'account/job/task',
      engine: 'js' as const,
      code: new Uint8Array(0),
      shape: { by: 'lines' as const },
      slots: [Buffer.from('a\nb')],
      parameters: undefined,
      limits: { memoryBytes: 1e7, cpuMs: 1e4, wallMs: 1e4, outputBytes: 100 },
    };
    const said: unknown[] = [];
    const control = {
      stopped: undefined,
      tick: () => false,
      log: (line: string) => void said.push(line),
      progress: (fraction: number) => void said.push(fraction),
      pause: () => undefined,
    };
    const parse = machine.evaluate(Buffer.from('JSON.parse'), 'parse.js', evalAsScript);
    machine.host = new QuickjsHost(task, control, parse, () => false);
    const nonsense = machine.evaluate(
      Buffer.from(`(host) => {
        const odd = [undefined, null, NaN, -1, 0.5, 1e9, 2 ** 53, '', 'text', '{', [], {}, Symbol('s'), 3n, () => 1,
          new ArrayBuffer(4), new Uint8Array(4), new Proxy({}, { get() { throw 1; } }),
          { valueOf() { throw 2; } }, { valueOf: () => 3, toString: () => '[1]' }];
        let calls = 0;
        for (let op = -1; op < 20; op++)
          for (const a of odd) for (const b of odd) for (const c of [undefined, -1, 1, 1e9, odd[17]]) {
            try { host(op, a, b, c); } catch {}
            calls++;
          }
        try { host(); } catch {}
        return calls;
      }`),
      'nonsense.js',
      evalAsScript,
    );
    const calls = machine.call(nonsense, [machine.newHostFunction()]);
    equal(machine.getNumber(calls), 21 * 20 * 20 * 5);
    equal(machine.broken, false);
    ok(said.every((each) => typeof each === 'string' || (Number(each) >= 0 && Number(each) <= 1)));
  });

  it('changes the prototypes that the task rests on', async () => {
    const pollute = `
      for (const proto of [Object, Array, String, Promise, Function, Map, Uint8Array, Error].map((c) => c.prototype)) {
        for (const name of Object.getOwnPropertyNames(proto)) {
          try { proto[name] = () => { throw new Error('polluted ' + name); }; } catch {}
        }
      }
      JSON.stringify = JSON.parse = () => { throw new Error('polluted JSON'); };
      Object.prototype.by = 'items'; Object.prototype.encoding = 'bytes'; Object.prototype.toJSON = () => 'polluted';
      globalThis.Uint8Array = globalThis.Promise = globalThis.JSON = undefined;`;
    for (const where of [`${pollute} export default () => [1];`, `export default () => { ${pollute} return [1]; }`]) {
      const { result } = await guest(where);
      ok(result.type === 'done' || result.code.startsWith('MESH_TASK_'), JSON.stringify(result));
    }
    deepEqual(await evaluate('[({}).by, typeof JSON, [2, 1].sort()]'), [null, 'object', [1, 2]]);
  });

  it('hands over buffers that lie about themselves', async () => {
    const lie = (lies: string) => `(() => { const v = new Uint8Array(8); ${lies} return v; })()`;
    const define = (name: string, value: string) => `Object.defineProperty(v, '${name}', { value: ${value} });`;
    await fails(lie(define('byteLength', '1e9')), /^MESH_TASK_/);
    await fails(lie(define('byteOffset', '7')), /^MESH_TASK_/);
    await fails(lie(define('byteOffset', '-1')), /^MESH_TASK_/);
    await fails(lie(define('byteLength', 'NaN')), /^MESH_TASK_/);
    await fails(lie(define('buffer', 'new ArrayBuffer(2)')), /^MESH_TASK_/);
    await fails(lie(define('buffer', '{ valueOf: () => 7 }')), /^MESH_TASK_/);
  });
});

describe('state between tasks', () => {
  const code = `
    let calls = 0; const seen = new Map(); globalThis.shared = [];
    export default async (task) => {
      calls++; seen.set(calls, 1); shared.push(1); Object.prototype.leak = (Object.prototype.leak ?? 0) + 1;
      await null;
      return [calls, seen.size, shared.length, ({}).leak];
    }`;

  it('is what the module left, for every task of a job', async () => {
    for (let i = 0; i < 5; i++) deepEqual((await guest(code, { key: 'state' })).value, [1, 1, 1, 1]);
  });

  it('is set back after a failure, too', async () => {
    const throwing = `let n = 0; export default (task) => { n++; if (task.parameters === 'loop') for (;;); if (task.parameters === 'eat') { const a = []; for (;;) a.push({}); } if (task.parameters === 'deep') return eval('['.repeat(1e5)); return n; }`;
    const run = async (parameters: string, options = {}) =>
      (await guest(throwing, { key: 'failing', parameters, ...options })).value;
    for (const [how, pattern] of [
      ['loop', /CPU/],
      ['eat', /MEMORY/],
      ['deep', /THREW/],
    ] as const) {
      match(String(await run(how, how === 'loop' ? { ticks: 5 } : {})), pattern);
      equal(await run('go'), 1);
    }
  });

  it('leaves nothing of a large task behind', async () => {
    const large = `const kept = []; export default (task) => { for (let i = 0; i < task.parameters; i++) kept.push('abc' + i); return kept.length; }`;
    const run = (parameters: number) => guest(large, { key: 'large', parameters });
    const first = await run(0);
    equal((await run(300_000)).value, 300_000);
    const after = await run(0);
    equal(after.value, 0);
    equal(after.result.peakMemoryBytes, first.result.peakMemoryBytes);
  });

  it('is never that of another key', async () => {
    await guest('globalThis.secret = 7; export default () => 1;', { key: 'mine' });
    equal((await guest('export default () => typeof secret', { key: 'theirs' })).value, 'undefined');
  });

  it('has its own chance in every task', async () => {
    const random = 'export default () => [Math.random(), Math.random()]';
    const draws = [];
    for (let i = 0; i < 4; i++) draws.push((await guest(random, { key: 'random' })).value);
    notDeepEqual(draws[0], draws[1]);
    notDeepEqual(draws[2], draws[3]);
    const [first] = draws as number[][];
    notEqual(first![0], first![1]);
  });

  it('can be a large module', async () => {
    const table = Array.from({ length: 40_000 }, (_, i) => `"word${i}"`).join(',');
    const module = `const words = [${table}]; export default (task) => { words.push('x'); return words.length; }`;
    for (let i = 0; i < 3; i++) equal((await guest(module, { key: 'module' })).value, 40_001);
  });
});
