import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { decode, type OutboxMessage, outboxEnvelope } from '../../../node-runtime/contract/index.ts';
import { processTimers } from '../../../node-runtime/shell/process-timers.ts';
import { withShortcut } from '../../../node-runtime/shell/shortcut.ts';
import { Outbox, type OutboxOptions } from '../../../node-runtime/wire/index.ts';

function progress(n: number): OutboxMessage {
  return { type: 'progress', attempt: `owner/job/t-${n}#1.${n}`, fraction: 0 };
}
function started(n: number): OutboxMessage {
  return { type: 'started', attempt: `owner/job/t-${n}#1.${n}` };
}

function makeOutbox(options: Partial<OutboxOptions<OutboxMessage>>) {
  const sent: OutboxMessage[][] = [];
  const outbox = new Outbox<OutboxMessage>({
    from: 'ada',
    bootId: 'boot',
    term: () => 1,
    publish: (payload) => sent.push(decode(outboxEnvelope, payload).messages),
    onProblem: (error) => assert.fail(String(error)),
    timers: { ...processTimers, nowMs: () => nowMs },
    ...options,
  });
  return { outbox, sent };
}

/** Time passes here when a test says so. */
let nowMs = 0;
async function pass(ms: number): Promise<void> {
  nowMs += ms;
  mock.timers.tick(ms);
  await setImmediate();
}

describe('Outbox, paced', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
  afterEach(() => mock.timers.reset());

  it('sends the first of a burst at once and the rest of it together', async () => {
    const { outbox, sent } = makeOutbox({ gatherMs: 40 });
    outbox.push(progress(1));
    await setImmediate();
    assert.deepEqual(sent, [[progress(1)]]);
    for (const n of [2, 3, 4]) {
      outbox.push(progress(n));
      await setImmediate();
    }
    await pass(39);
    assert.equal(sent.length, 1);
    await pass(1);
    assert.deepEqual(sent, [[progress(1)], [progress(2), progress(3), progress(4)]]);
    await pass(40);
    outbox.push(progress(5));
    await setImmediate();
    assert.equal(sent.length, 3);
  });

  it('lets a patient message wait for company, in order, and no longer than it is patient', async () => {
    const { outbox, sent } = makeOutbox({ patienceMs: ({ type }) => (type === 'started' ? 30 : 0) });
    outbox.push(started(1));
    await setImmediate();
    assert.deepEqual(sent, []);
    outbox.push(progress(1));
    await setImmediate();
    assert.deepEqual(sent, [[started(1), progress(1)]]);
    outbox.push(started(2));
    await pass(29);
    assert.equal(sent.length, 1);
    await pass(1);
    assert.deepEqual(sent.at(-1), [started(2)]);
  });

  it('sends what tidying has left', async () => {
    const { outbox, sent } = makeOutbox({ tidy: (messages) => messages.filter(({ type }) => type !== 'started') });
    outbox.push(started(1));
    outbox.push(progress(1));
    await setImmediate();
    assert.deepEqual(sent, [[progress(1)]]);
    outbox.push(started(2));
    await setImmediate();
    assert.equal(sent.length, 1);
  });
});

describe('withShortcut', () => {
  it('hears what goes to ourselves, a turn later, and publishes all else', async () => {
    const published: string[] = [];
    const heard: string[] = [];
    const transport = {
      publish: async (topic: string) => {
        published.push(topic);
      },
    };
    const publisher = withShortcut(transport, ['own'], (topic, payload) => heard.push(`${topic} ${payload.length}`));
    await publisher.publish('own', new Uint8Array(3), { qos: 1 });
    await publisher.publish('other', new Uint8Array(), { qos: 1 });
    assert.deepEqual(heard, []);
    await setImmediate();
    assert.deepEqual([heard, published], [['own 3'], ['other']]);
  });
});
