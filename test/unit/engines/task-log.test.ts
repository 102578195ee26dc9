import { deepEqual, equal } from 'node:assert/strict';
import { limits } from '../../../node-runtime/contract/index.ts';
import { TaskLog } from '../../../node-runtime/engines/task-log.ts';

describe('task log', () => {
  const fill = (log: TaskLog, count: number) => {
    for (let i = 1; i <= count; i++) log.add(`line ${i}`);
  };

  it('gives lines once', () => {
    const log = new TaskLog(5);
    fill(log, 2);
    deepEqual(log.take(false), ['line 1', 'line 2']);
    log.add('line 3');
    deepEqual(log.take(true), ['line 3']);
    deepEqual(log.take(true), []);
  });

  it('takes exactly as many lines as it may', () => {
    const log = new TaskLog(3);
    fill(log, 3);
    deepEqual([...log.take(false), ...log.take(true)], ['line 1', 'line 2', 'line 3']);
  });

  it('counts what it drops, in the last line', () => {
    const log = new TaskLog(3);
    fill(log, 10);
    deepEqual(log.take(true), ['line 1', 'line 2', '(8 more lines were dropped)']);
  });

  it('cuts a long line', () => {
    const log = new TaskLog();
    log.add('x'.repeat(10_000));
    const [line] = log.take(true);
    equal(line?.length, limits.logLineCharacters);
    equal(line?.endsWith('...'), true);
  });
});
