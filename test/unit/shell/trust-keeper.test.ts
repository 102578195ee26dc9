import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  encode,
  type InboxMessage,
  type LeaderHint,
  votersStatement,
  voteStatement,
} from '../../../node-runtime/contract/index.ts';
import { Signer } from '../../../node-runtime/shell/signing.ts';
import { TrustKeeper } from '../../../node-runtime/shell/trust-keeper.ts';
import { keyPair } from './keys.ts';
import { endAll, meshError, scratch } from './scratch.ts';

const founder = keyPair();
const meshId = founder.publicKey;
const ada = new Signer(founder, meshId);
const mallory = new Signer(keyPair(), meshId);
const hintTopic = 'foremesh/v1/m/leader';
const inboxTopic = 'foremesh/v1/m/nodes/bob/inbox';

function hintOf(term: number, signer = ada, node = 'ada'): LeaderHint {
  const signature = signer.sign(voteStatement({ mesh: meshId, term, candidate: node, voter: node }));
  const proof = { mesh: meshId, term, candidate: node, votes: [{ voter: node, signature }] };
  return { v: 1, node, bootId: 'x', term, seq: 1, holders: ['broker'], publicKey: signer.publicKey, proof, chain: [] };
}
const sealed = (hint: LeaderHint, signer = ada) => signer.seal(encode(hint, 'json'), hintTopic);
const order = (term: number, signer = ada, request = 1) => {
  const messages: InboxMessage[] = [{ type: 'inventory-request', request }];
  return signer.seal(encode({ v: 1, from: 'ada', bootId: 'x', seq: 1, term, messages }, 'cbor'), inboxTopic);
};

describe('TrustKeeper', () => {
  let file: string;
  let keeper: TrustKeeper;
  beforeEach(async () => {
    file = join(await scratch(), 'node', 'trust.json');
    keeper = new TrustKeeper(file, meshId);
  });
  afterEach(endAll);

  it('raises its term on proof, has it on disk by then, and never goes back', () => {
    assert.equal(keeper.openHint(sealed(hintOf(3)), hintTopic)?.term, 3);
    assert.equal(new TrustKeeper(file, meshId).term, 3);
    assert.equal(keeper.openHint(sealed(hintOf(2)), hintTopic), undefined);
    assert.equal(keeper.term, 3);
    assert.equal(keeper.keyOf('ada'), ada.publicKey);
    assert.equal(keeper.keyOf('mallory'), undefined);
  });

  it('believes nobody without votes, with votes of strangers, or with a proof of another term', () => {
    const { proof, ...bare } = hintOf(5);
    const unproven = mallory.seal(encode({ ...bare, publicKey: mallory.publicKey }, 'json'), hintTopic);
    assert.throws(() => keeper.openHint(unproven, hintTopic), meshError('MESH_MESSAGE_MALFORMED', 'proof'));
    const refused = (hint: LeaderHint, signer = ada) =>
      assert.throws(() => keeper.openHint(sealed(hint, signer), hintTopic), meshError('MESH_LEADER_UNPROVEN'));
    refused({
      ...bare,
      proof: { ...proof, votes: proof.votes.map((vote) => ({ ...vote, signature: 'A'.repeat(86) })) },
    });
    refused(hintOf(5, mallory, 'mallory'), mallory);
    refused({ ...hintOf(4), term: 5 });
    assert.throws(() => keeper.openHint(sealed(hintOf(5), mallory), hintTopic), meshError('MESH_SIGNATURE_INVALID'));
    assert.equal(keeper.term, 0);
  });

  it('opens what the leader of its term says, and nothing of an older one', () => {
    keeper.openHint(sealed(hintOf(3)), hintTopic);
    assert.equal(keeper.openInbox(order(3), inboxTopic)?.term, 3);
    assert.equal(keeper.openInbox(order(2), inboxTopic), undefined);
    assert.throws(() => keeper.openInbox(order(3, mallory), inboxTopic), meshError('MESH_SIGNATURE_INVALID'));
    assert.throws(() => keeper.openInbox(order(3), `${inboxTopic}x`), meshError('MESH_SIGNATURE_INVALID'));
  });

  it('keeps what comes before its proof, a little of it, until the proof is there', () => {
    for (let request = 1; request <= 100; request += 1)
      assert.equal(keeper.openInbox(order(4, ada, request), inboxTopic), undefined);
    assert.deepEqual(keeper.proven(), []);
    keeper.openHint(sealed(hintOf(4)), hintTopic);
    const waited = keeper.proven();
    assert.equal(waited.length, 16);
    const last = keeper.openInbox(waited.at(-1)!.payload, waited.at(-1)!.topic);
    assert.deepEqual(last?.messages, [{ type: 'inventory-request', request: 100 }]);
    assert.deepEqual(keeper.proven(), []);
  });

  it('learns who votes from links that a voter has signed, and from no others', () => {
    const bob = new Signer(keyPair(), meshId);
    const voters = [
      { node: 'ada', publicKey: ada.publicKey },
      { node: 'bob', publicKey: bob.publicKey },
    ];
    const link = { index: 4, term: 1, voters };
    const signedBy = (signer: Signer) => ({
      ...link,
      signer: signer.publicKey,
      signature: signer.sign(votersStatement(meshId, link)),
    });
    keeper.learn([signedBy(mallory), signedBy(bob), { ...signedBy(ada), index: 5 }]);
    assert.equal(keeper.keyOf('bob'), undefined);
    keeper.learn([signedBy(ada)]);
    assert.equal(keeper.keyOf('bob'), bob.publicKey);
    assert.equal(new TrustKeeper(file, meshId).keyOf('bob'), bob.publicKey);
    assert.equal(keeper.term, 0);
  });

  it('does nothing in a term that it cannot write down', async () => {
    await mkdir(`${file}.new`, { recursive: true });
    assert.throws(() => keeper.openHint(sealed(hintOf(3)), hintTopic), meshError('MESH_STORAGE_FAILED', file));
    assert.equal(keeper.term, 0);
    assert.equal(keeper.openInbox(order(3), inboxTopic), undefined);
  });
});
