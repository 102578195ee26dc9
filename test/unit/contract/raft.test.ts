import assert from 'node:assert/strict';
import {
  decode,
  encode,
  limits,
  MeshError,
  type RaftEnvelope,
  type RaftWireMessage,
  raftEnvelope,
  termProof,
  voteStatement,
} from '@foremesh/node-runtime/contract';

function envelope(content: RaftEnvelope['content']): RaftEnvelope {
  return { v: 1, bootId: 'b00t', seq: 7, content };
}

function append(entries: number, commandBytes = 8): RaftWireMessage {
  const command = new Uint8Array(commandBytes).fill(7);
  const all = Array.from({ length: entries }, (_, at) => ({ index: at + 5, term: 3, command }));
  return { type: 'append', term: 3, round: 9, previousIndex: 4, previousTerm: 2, entries: all, commitIndex: 4 };
}

describe('messages between voters', () => {
  it('come back as they were sent', () => {
    const configuration = { voters: ['ada', 'bob'], outgoing: ['ada'], learners: ['cyd'] };
    const messages: RaftWireMessage[] = [
      append(3),
      {
        type: 'append',
        term: 3,
        round: 1,
        previousIndex: 0,
        previousTerm: 0,
        entries: [
          { index: 1, term: 3 },
          { index: 2, term: 3, configuration },
        ],
        commitIndex: 0,
      },
      { type: 'append-answer', term: 3, round: 1, match: 2 },
      { type: 'append-answer', term: 3, round: 1, reject: { previousIndex: 9, hintIndex: 4, hintTerm: 2 } },
      { type: 'vote-answer', term: 3, granted: true, signature: new Uint8Array(64) },
    ];
    for (const message of messages) {
      const sent = envelope({ kind: 'message', message });
      const bytes = encode(sent, 'cbor');
      const again = encode(decode(raftEnvelope, bytes), 'cbor');
      assert.equal(Buffer.from(again).toString('hex'), Buffer.from(bytes).toString('hex'));
    }
  });

  it('of as many entries as one may have, and of as many bytes as core puts in one, fit a payload', () => {
    encode(envelope({ kind: 'message', message: append(limits.entriesPerAppend) }), 'cbor');
    encode(envelope({ kind: 'message', message: append(1_024, 64) }), 'cbor');
    encode(
      envelope({
        kind: 'snapshot-chunk',
        index: 1,
        indexTerm: 1,
        offset: 0,
        sizeBytes: 9,
        sha256: new Uint8Array(32),
        bytes: new Uint8Array(limits.blobChunkBytes),
      }),
      'cbor',
    );
  });

  it('are refused when there is more in them than may be', () => {
    const refused = (content: unknown) => {
      const sent = encode(envelope(content as RaftEnvelope['content']), 'cbor');
      assert.throws(() => decode(raftEnvelope, sent), MeshError);
    };
    refused({ kind: 'message', message: append(limits.entriesPerAppend + 1) });
    refused({ kind: 'part', part: limits.partsPerRaftMessage, parts: 2, bytes: new Uint8Array(1) });
    refused({ kind: 'part', part: 0, parts: 1, bytes: new Uint8Array(1) });
    refused({ kind: 'message', message: { type: 'append-answer', term: -1, round: 0 } });
    refused({ kind: 'message', message: { type: 'timeout-now', term: 1 } });
    const voters = Array.from({ length: limits.votersPerMesh + 1 }, (_, n) => `n${n}`);
    const entry = { index: 1, term: 1, configuration: { voters, learners: [] } };
    refused({ kind: 'message', message: { ...append(0), entries: [entry] } });
  });
});

describe('the proof of a term', () => {
  it('signs mesh, term, candidate and voter: another of any is another statement', () => {
    const vote = { mesh: 'm1', term: 12, candidate: 'ada', voter: 'bob' };
    const others = [{ mesh: 'm' }, { term: 1 }, { candidate: 'bob' }, { voter: 'ada' }, { mesh: 'm11', term: 2 }];
    const statements = [{}, ...others].map((other) =>
      Buffer.from(voteStatement({ ...vote, ...other })).toString('hex'),
    );
    assert.equal(new Set(statements).size, statements.length);
    assert.equal(new TextDecoder().decode(voteStatement(vote)), 'foremesh vote v1\nm1\n12\nada\nbob\n');
  });

  it('has at least one vote', () => {
    const proof = { mesh: 'm1', term: 12, candidate: 'ada', votes: [] };
    assert.throws(() => decode(termProof, encode(proof, 'cbor')), MeshError);
  });
});
