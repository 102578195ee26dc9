import assert from 'node:assert/strict';
import { limits } from '../../../node-runtime/contract/index.ts';
import { type LedgerCommand, type RaftMessage, RaftWire, readRaftEnvelope } from '../../../node-runtime/core/index.ts';
import { meshError } from '../shell/scratch.ts';

function appendOf(bytes: number): RaftMessage<LedgerCommand> {
  const problem = { code: 'X', message: 'x'.repeat(bytes) };
  const command: LedgerCommand = { type: 'end-job', account: 'a', job: 'j', atMs: 1, phase: 'failed', problem };
  const entries = [
    { index: 5, term: 2, command },
    { index: 6, term: 2, configuration: { voters: ['ada', 'bob'], outgoing: ['ada'], learners: [] } },
    { index: 7, term: 2 },
  ];
  return { type: 'append', term: 2, round: 9, previousIndex: 4, previousTerm: 1, entries, commitIndex: 4 };
}

/** What the receiver makes of payloads, in the order they come. */
function receive(receiver: RaftWire, payloads: readonly Uint8Array[], from = 'ada') {
  return payloads
    .map((payload) => receiver.messageOf(from, readRaftEnvelope(payload)))
    .filter((message) => message !== undefined);
}

const key = 'A'.repeat(43);
const signature = 'A'.repeat(86);

describe('RaftWire', () => {
  const sender = new RaftWire('boot');

  it('brings every message as it was', () => {
    const messages: RaftMessage<LedgerCommand>[] = [
      appendOf(10),
      { type: 'vote-answer', term: 3, granted: true, signature: Buffer.from([1, 2]) },
      { type: 'append-answer', term: 3, round: 1, reject: { previousIndex: 4, hintIndex: 2, hintTerm: 1 } },
      { type: 'snapshot', term: 3, round: 2, index: 7, indexTerm: 2 },
    ];
    for (const message of messages) assert.deepEqual(receive(new RaftWire('x'), sender.payloadsOf(message)), [message]);
  });

  it('cuts what is larger than a payload, and joins it in any order, parts that come twice too', () => {
    const message = appendOf(600_000);
    const payloads = sender.payloadsOf(message);
    assert.equal(payloads.length, 4);
    assert.equal(new RaftWire('small', 6_000).payloadsOf(message).length, limits.partsPerRaftMessage);
    for (const payload of payloads) assert.ok(payload.length <= limits.payloadBytes);
    const receiver = new RaftWire('x');
    const [first, ...rest] = payloads;
    assert.deepEqual(receive(receiver, [...rest.reverse(), rest[0]!, first!]), [message]);
  });

  it('gives up a message of which a part is lost when a newer one comes, and takes no part for another message', () => {
    const receiver = new RaftWire('x');
    const [first, ...others] = sender.payloadsOf(appendOf(500_000));
    const newer = sender.payloadsOf(appendOf(400_000));
    assert.deepEqual(receive(receiver, others), []);
    assert.equal(receive(receiver, newer).length, 1);
    assert.deepEqual(receive(receiver, [first!]), []);
    // Another boot counts anew.
    const restarted = new RaftWire('other-boot').payloadsOf(appendOf(400_000));
    assert.equal(receive(receiver, restarted).length, 1);
  });

  it('keeps the parts of two senders apart', () => {
    const receiver = new RaftWire('x');
    const a = new RaftWire('a').payloadsOf(appendOf(400_000));
    const b = new RaftWire('b').payloadsOf(appendOf(300_000));
    assert.deepEqual(receive(receiver, a.slice(1), 'ada'), []);
    assert.equal(receive(receiver, b, 'bob').length, 1);
    assert.equal(receive(receiver, a.slice(0, 1), 'ada').length, 1);
  });

  it('shows how the voters came to be with a question for a vote, and with nothing else', () => {
    const chain = [{ index: 1, term: 1, voters: [{ node: 'ada', publicKey: key }], signer: key, signature }];
    const question = { term: 2, lastIndex: 1, lastTerm: 1 };
    const shown = (message: RaftMessage<LedgerCommand>) =>
      readRaftEnvelope(sender.payloadsOf(message, () => chain)[0]!).chain;
    assert.deepEqual(shown({ type: 'vote-request', ...question }), chain);
    assert.deepEqual(shown({ type: 'pre-vote-request', round: 1, ...question }), chain);
    assert.equal(shown(appendOf(10)), undefined);
    assert.equal(readRaftEnvelope(sender.payloadsOf({ type: 'vote-request', ...question })[0]!).chain, undefined);
  });

  it('refuses what has too many parts', () => {
    const tooMuch = limits.raftPartBytes * limits.partsPerRaftMessage;
    assert.throws(() => sender.payloadsOf(appendOf(tooMuch)), meshError('MESH_LIMIT_EXCEEDED', 'partsPerRaftMessage'));
  });
});
