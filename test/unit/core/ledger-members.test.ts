import assert from 'node:assert/strict';
import { limits, type NodeKey, type VotersLink } from '@foremesh/node-runtime/contract';
import {
  admissionProblem,
  applyCommand,
  createLedger,
  type Ledger,
  restoreLedger,
  snapshotLedger,
  validateLedger,
  votersToCertify,
} from '@foremesh/node-runtime/core';

const keyOf = (node: string): NodeKey => ({ node, publicKey: node.padEnd(42, '0').concat('A') });

function link(index: number, term: number, signer: string, voters: readonly string[], outgoing?: string[]): VotersLink {
  return {
    index,
    term,
    voters: voters.map(keyOf),
    ...(outgoing === undefined ? {} : { outgoing: outgoing.map(keyOf) }),
    signer: keyOf(signer).publicKey,
    signature: 'A'.repeat(86),
  };
}

function certify(ledger: Ledger, ...links: VotersLink[]): string[] {
  return links.flatMap((each) =>
    applyCommand(ledger, { type: 'certify-voters', link: each }).map((event) =>
      event.type === 'dropped' ? event.reason : event.type,
    ),
  );
}

describe('who is in the mesh, by the ledger', () => {
  it('keeps the first key of an id', () => {
    const ledger = createLedger();
    const enroll = (node: string, of = node) =>
      applyCommand(ledger, { type: 'enroll-node', node, publicKey: keyOf(of).publicKey, atMs: 1 })[0];
    assert.deepEqual(enroll('ada'), { type: 'node-enrolled', ...keyOf('ada') });
    assert.equal((enroll('ada') as { reason?: string }).reason, 'known already');
    assert.equal((enroll('ada', 'eve') as { reason?: string }).reason, 'the id has another key');
    assert.deepEqual([...ledger.nodes], [['ada', { publicKey: keyOf('ada').publicKey }]]);
  });

  it('enrolls no more nodes than a mesh may have', () => {
    const ledger = createLedger();
    for (let n = 0; n <= limits.nodesPerMesh; n += 1) {
      const [event] = applyCommand(ledger, { type: 'enroll-node', ...keyOf(`n${n}`), atMs: 1 });
      assert.equal(event!.type, n < limits.nodesPerMesh ? 'node-enrolled' : 'dropped');
    }
    assert.equal(ledger.nodes.size, limits.nodesPerMesh);
  });

  it('admits who is enrolled with this key, or was let in and is new', () => {
    const ledger = createLedger();
    const code = (node: string, of: string, admitted: boolean) =>
      admissionProblem(ledger, { node, publicKey: keyOf(of).publicKey }, admitted)?.code;
    assert.equal(code('ada', 'ada', true), undefined);
    assert.equal(code('ada', 'ada', false), 'MESH_NOT_ADMITTED');
    applyCommand(ledger, { type: 'enroll-node', ...keyOf('ada'), atMs: 1 });
    assert.equal(code('ada', 'ada', false), undefined);
    assert.equal(code('ada', 'eve', true), 'MESH_NOT_ADMITTED');
    for (let n = 1; n < limits.nodesPerMesh; n += 1) ledger.nodes.set(`n${n}`, keyOf('n'));
    assert.equal(code('eve', 'eve', true), 'MESH_NOT_ADMITTED');
    assert.equal(code('ada', 'ada', true), undefined);
  });

  it('takes only links that fit the one before', () => {
    const ledger = createLedger();
    const joint = link(5, 2, 'ada', ['ada', 'bob', 'cyd'], ['ada']);
    assert.deepEqual(certify(ledger, joint, joint), ['voters-certified', 'a newer link is known']);
    assert.deepEqual(certify(ledger, link(6, 2, 'eve', ['ada', 'bob', 'cyd'])), [
      'no voter of the link before has signed it',
    ]);
    assert.deepEqual(certify(ledger, link(6, 1, 'ada', ['ada'])), ['its term is older than that of the link before']);
    assert.deepEqual(certify(ledger, link(6, 3, 'bob', ['ada', 'bob', 'cyd'])), ['voters-certified']);
    assert.deepEqual(
      ledger.votersChain.map(({ index }) => index),
      [5, 6],
    );
  });

  it('keeps a chain that leads from the founder to the voters of today, as long as somebody stayed', () => {
    const ledger = createLedger();
    // One voter of three is replaced at a time, ada never; leaders take turns.
    let voters = ['ada', 'v0', 'v1'];
    assert.deepEqual(certify(ledger, link(2, 1, 'ada', voters)), ['voters-certified']);
    for (let change = 2; change < 100; change += 1) {
      const leader = voters[change % 3]!;
      const next = ['ada', voters[2]!, `v${change}`];
      const joint = link(2 * change, change, leader, next, voters);
      assert.deepEqual(certify(ledger, joint, link(2 * change + 1, change, next[change % 3]!, next)), [
        'voters-certified',
        'voters-certified',
      ]);
      voters = next;
      const chain = ledger.votersChain;
      assert.ok(chain.length <= limits.votersLinks);
      assert.equal(chain[0]!.signer, keyOf('ada').publicKey);
      assert.ok(chain.filter(({ term }) => term >= change - 1).length >= 3, 'the newest stay');
    }
  });

  it('forgets the oldest links when nothing else can go', () => {
    const ledger = createLedger();
    for (let n = 0; n < 50; n += 1) certify(ledger, link(n + 1, n + 1, `v${n}`, [`v${n + 1}`]));
    assert.equal(ledger.votersChain.length, limits.votersLinks);
    assert.equal(ledger.votersChain.at(-1)!.index, 50);
  });

  it('says what a leader has to sign', () => {
    const ledger = createLedger();
    const both = { voters: ['ada', 'bob'], outgoing: ['ada'], learners: [] };
    assert.equal(votersToCertify(ledger, both), undefined, 'nobody is enrolled');
    for (const node of ['ada', 'bob']) applyCommand(ledger, { type: 'enroll-node', ...keyOf(node), atMs: 1 });
    assert.deepEqual(votersToCertify(ledger, both), {
      voters: [keyOf('ada'), keyOf('bob')],
      outgoing: [keyOf('ada')],
    });
    certify(ledger, link(5, 2, 'ada', ['ada', 'bob'], ['ada']));
    assert.equal(votersToCertify(ledger, both), undefined, 'it has that');
    assert.deepEqual(votersToCertify(ledger, { voters: ['bob', 'ada'], learners: ['cyd'] }), {
      voters: [keyOf('bob'), keyOf('ada')],
    });
    certify(ledger, link(6, 2, 'ada', ['ada', 'bob']));
    assert.equal(votersToCertify(ledger, { voters: ['bob', 'ada'], learners: ['dan'] }), undefined, 'only a learner');
  });

  it('takes a node out, and lets its key in no more, under no name, after a snapshot too', () => {
    let ledger = createLedger();
    applyCommand(ledger, { type: 'enroll-node', ...keyOf('ada'), atMs: 1 });
    const out = applyCommand(ledger, { type: 'remove-node', node: 'ada', atMs: 2 });
    assert.deepEqual(out, [{ type: 'node-removed', ...keyOf('ada') }]);
    ledger = restoreLedger(JSON.parse(JSON.stringify(snapshotLedger(ledger))));
    validateLedger(ledger);
    for (const node of ['ada', 'eve']) {
      const { publicKey } = keyOf('ada');
      assert.equal(applyCommand(ledger, { type: 'enroll-node', node, publicKey, atMs: 3 })[0]!.type, 'dropped');
      assert.equal(admissionProblem(ledger, { node, publicKey }, true)?.code, 'MESH_NODE_REMOVED');
    }
    assert.equal(applyCommand(ledger, { type: 'remove-node', node: 'ada', atMs: 4 })[0]!.type, 'dropped');
    const { publicKey } = keyOf('bob');
    assert.equal(admissionProblem(ledger, { node: 'ada', publicKey }, true), undefined);
    assert.equal(
      applyCommand(ledger, { type: 'enroll-node', node: 'ada', publicKey, atMs: 5 })[0]!.type,
      'node-enrolled',
    );
  });
});
