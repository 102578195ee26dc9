import { deepEqual, equal } from 'node:assert/strict';
import fc from 'fast-check';
import { keysPerProcess, parseFromSandbox, RecentKeys } from '../../../node-runtime/engines/protocol.ts';

const usage = { cpuMs: 1, wallMs: 1, peakMemoryBytes: 1, inputBytes: 1, outputBytes: 1 };
const done = { type: 'done', id: 1, encoding: 'json', usage, processCpuMs: 5 };

describe('messages from a sandbox process', () => {
  it('pass when they are what they should be', () => {
    for (const message of [
      { type: 'ready', notes: ['a'], processCpuMs: 3 },
      { type: 'started', id: 1 },
      { type: 'dropped', id: 1 },
      { type: 'progress', id: 1, fraction: 0.5 },
      { type: 'log', id: 1, lines: ['a'] },
      done,
      { type: 'failed', id: 1, code: 'MESH_TASK_THREW', message: 'm', usage, processCpuMs: 5 },
    ]) {
      deepEqual(parseFromSandbox(message), message);
    }
  });

  it('are refused otherwise', () => {
    for (const message of [
      null,
      'done',
      [],
      {},
      { type: 'ready', notes: [1], processCpuMs: 3 },
      { type: 'started' },
      { type: 'started', id: -1 },
      { type: 'progress', id: 1, fraction: 2 },
      { type: 'log', id: 1, lines: 'a' },
      { ...done, encoding: 'xml' },
      { ...done, processCpuMs: null },
      { ...done, usage: { ...usage, cpuMs: -1 } },
      { ...done, usage: { ...usage, outputBytes: 0.5 } },
      { type: 'failed', id: 1, code: 'MESH_NONSENSE', message: 'm', usage, processCpuMs: 5 },
    ]) {
      equal(parseFromSandbox(message), undefined, JSON.stringify(message));
    }
  });

  it('never throw', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        parseFromSandbox(value);
      }),
    );
  });
});

describe('recent keys', () => {
  it('forget the one used longest ago', () => {
    const keys = new RecentKeys();
    for (let i = 0; i < keysPerProcess; i++) equal(keys.use(`k${i}`), undefined);
    equal(keys.use('k0'), undefined);
    equal(keys.use('new'), 'k1');
    deepEqual([keys.has('k0'), keys.has('k1'), keys.has('new')], [true, false, true]);
  });
});
