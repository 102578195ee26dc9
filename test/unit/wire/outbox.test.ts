import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { decode, type InboxMessage, inboxEnvelope, limits } from '../../../node-runtime/contract/index.ts';
import { processTimers } from '../../../node-runtime/shell/process-timers.ts';
import { Outbox, type OutboxOptions } from '../../../node-runtime/wire/index.ts';
import { meshError } from '../shell/scratch.ts';

function cancel(n: number, bytes = 1): InboxMessage {
  return { type: 'cancel', attempt: `owner/job/t-${n}#1.${n}`, reason: 'x'.repeat(bytes) };
}

function makeOutbox(options: Partial<OutboxOptions<InboxMessage>> = {}) {
  const payloads: Uint8Array[] = [];
  const problems: unknown[] = [];
  const outbox = new Outbox<InboxMessage>({
    from: 'ada',
    bootId: 'boot',
    term: () => 7,
    timers: processTimers,
    publish: (payload) => payloads.push(payload),
    onProblem: (error) => problems.push(error),
    ...options,
  });
  return { outbox, problems, payloads, envelopes: () => payloads.map((payload) => decode(inboxEnvelope, payload)) };
}

describe('Outbox', () => {
  it('sends what one turn pushed as one envelope', async () => {
    const { outbox, envelopes } = makeOutbox();
    for (const n of [1, 2, 3]) outbox.push(cancel(n));
    await setImmediate();
    outbox.push(cancel(4));
    await setImmediate();
    assert.deepEqual(
      envelopes().map(({ messages, ...head }) => ({ ...head, messages: messages.length })),
      [
        { v: 1, from: 'ada', bootId: 'boot', seq: 1, term: 7, messages: 3 },
        { v: 1, from: 'ada', bootId: 'boot', seq: 2, term: 7, messages: 1 },
      ],
    );
  });

  it('keeps order and both limits, however many and however large', async () => {
    const { outbox, envelopes, payloads, problems } = makeOutbox();
    const sent = Array.from({ length: 1_500 }, (_, n) => cancel(n, n % 7 === 0 ? 9_000 : 10));
    for (const message of sent) outbox.push(message);
    await setImmediate();
    assert.deepEqual(
      envelopes().flatMap(({ messages }) => messages),
      sent,
    );
    assert.ok(envelopes().every(({ messages }) => messages.length <= limits.messagesPerEnvelope));
    assert.ok(payloads.every(({ length }) => length <= limits.payloadBytes - limits.sealBytes));
    assert.deepEqual(
      envelopes().map(({ seq }) => seq),
      payloads.map((_, index) => index + 1),
    );
    assert.deepEqual(problems, []);
  });

  it('reports the one message that fits no envelope, and sends the others', async () => {
    const { outbox, envelopes, problems } = makeOutbox();
    for (const n of [1, 2, 3, 4, 5]) outbox.push(cancel(n, n === 3 ? limits.payloadBytes : 10));
    await setImmediate();
    assert.deepEqual(
      envelopes().flatMap(({ messages }) => messages),
      [1, 2, 4, 5].map((n) => cancel(n, 10)),
    );
    assert.equal(problems.length, 1);
    meshError('MESH_LIMIT_EXCEEDED', 'payloadBytes')(problems[0]!);
  });

  it('says the term at the time of sending', async () => {
    let term = 1;
    const { outbox, envelopes } = makeOutbox({ term: () => term });
    outbox.push(cancel(1));
    term = 2;
    await setImmediate();
    assert.equal(envelopes()[0]!.term, 2);
  });
});
