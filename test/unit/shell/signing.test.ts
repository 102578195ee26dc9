import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type Connection, limits, parseConnection, voteStatement } from '../../../node-runtime/contract/index.ts';
import { admissionOf, isAdmitted } from '../../../node-runtime/shell/admission.ts';
import { makeKey, readKey } from '../../../node-runtime/shell/identity.ts';
import { isSignedBy, openSeal, Signer } from '../../../node-runtime/shell/signing.ts';
import { keyPair as pair } from './keys.ts';
import { endAll, meshError, scratch } from './scratch.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('a signer', () => {
  afterEach(endAll);
  const mesh = pair().publicKey;
  const topic = 'foremesh/v1/m/nodes/ada/status';
  const key = pair();
  const ada = new Signer(key, mesh);
  const body = bytes('{"v":1,"node":"ada"}');
  const payload = ada.seal(body, topic);

  it('seals what its own key opens', () => {
    assert.deepEqual(Buffer.from(openSeal(payload, mesh, topic, ada.publicKey)), Buffer.from(body));
    assert.equal(new TextDecoder().decode(payload.subarray(0, body.length + 2)), '{"v":1,"node":"ada"}\n"');
  });

  it('signs with the key that was read from disk', async () => {
    const file = join(await scratch(), 'node.key');
    const made = await makeKey(file);
    const sealed = new Signer((await readKey(file))!, mesh).seal(body, topic);
    assert.deepEqual(Buffer.from(openSeal(sealed, mesh, topic, made.publicKey)), Buffer.from(body));
  });

  it('is not believed for another key, mesh, topic, or one changed bit', () => {
    const refused = (...[what, where, on, by]: Parameters<typeof openSeal>) =>
      assert.throws(() => openSeal(what, where, on, by), meshError('MESH_SIGNATURE_INVALID'));
    refused(payload, mesh, topic, pair().publicKey);
    refused(payload, pair().publicKey, topic, ada.publicKey);
    refused(payload, mesh, 'foremesh/v1/m/nodes/bob/status', ada.publicKey);
    refused(body, mesh, topic, ada.publicKey);
    refused(new Uint8Array(), mesh, topic, ada.publicKey);
    refused(payload, mesh, topic, 'no key');
    for (let at = 0; at < payload.length; at += 1) {
      const changed = Uint8Array.from(payload);
      changed[at]! ^= 1;
      refused(changed, mesh, topic, ada.publicKey);
    }
  });

  it('counts the seal into the payload', () => {
    const most = limits.payloadBytes - limits.sealBytes;
    assert.equal(ada.seal(new Uint8Array(most), topic).length, limits.payloadBytes);
    assert.throws(() => ada.seal(new Uint8Array(most + 1), topic), meshError('MESH_LIMIT_EXCEEDED'));
  });

  it('signs statements of the contract', () => {
    const vote = { mesh, term: 3, candidate: 'ada', voter: 'bob' };
    const signature = ada.sign(voteStatement(vote));
    assert.equal(signature.length, 86);
    assert.ok(isSignedBy(ada.publicKey, voteStatement(vote), signature));
    assert.ok(!isSignedBy(ada.publicKey, voteStatement({ ...vote, term: 4 }), signature));
    for (const [by, what] of [
      [ada.publicKey, ''],
      ['', signature],
      ['A'.repeat(43), signature],
      [ada.publicKey, 'x'.repeat(1_000)],
    ]) {
      assert.equal(isSignedBy(by!, voteStatement(vote), what!), false);
    }
  });

  it('knows more keys than it keeps', () => {
    const many = Array.from({ length: 1_100 }, pair);
    const signatures = many.map((each) => new Signer(each, mesh).sign(body));
    for (const [at, each] of many.entries()) assert.ok(isSignedBy(each.publicKey, body, signatures[at]!));
    assert.ok(isSignedBy(many[0]!.publicKey, body, signatures[0]!));
  });
});

describe('admission', () => {
  const meshId = pair().publicKey;
  const connection = parseConnection(`foremesh://owner:secret@h/m?id=${meshId}`);
  const key = pair().publicKey;
  const admission = admissionOf(connection, 'pi', key);

  it('shows who knows the password, whatever account and address it has it with', () => {
    assert.equal(admission.length, 43);
    assert.ok(isAdmitted(connection, 'pi', key, admission));
    assert.ok(isAdmitted({ ...connection, host: 'other', port: 7 }, 'pi', key, admission));
  });

  it('is for one node, one key, one mesh, one password', () => {
    const others: [Connection, string, string][] = [
      [{ ...connection, password: 'Secret' }, 'pi', key],
      [{ ...connection, meshId: pair().publicKey }, 'pi', key],
      [connection, 'pi2', key],
      [connection, 'pi', pair().publicKey],
    ];
    for (const [of, node, by] of others) assert.ok(!isAdmitted(of, node, by, admission));
    for (const wrong of ['', admission.slice(1), `${admission}A`, 'x'.repeat(43)]) {
      assert.ok(!isAdmitted(connection, 'pi', key, wrong));
    }
  });

  it('needs the id of the mesh', () => {
    const { meshId: _, ...without } = connection;
    assert.throws(() => admissionOf(without, 'pi', key), meshError('MESH_CONFIG_INVALID', 'foremesh init'));
  });
});
