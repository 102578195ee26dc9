import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import type { NodeStatus } from '@foremesh/node-runtime/contract';
import { issueAuthority, issueNode, type Pair } from '../../../broker/joining/issue.ts';
import { Admitter, certificateAdmission } from '../../../node-runtime/shell/admission.ts';
import { fingerprintOf } from '../../../node-runtime/shell/joining/membership.ts';
import { nodeStatus } from '../core/samples.ts';

const newKey = () => generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }).x!;
// Longer than all tests take.
const laterMs = Date.now() + 86_400_000;

describe('admission by certificate', () => {
  let authority: Pair;
  let other: Pair;
  before(async () => {
    authority = await issueAuthority('this mesh', laterMs);
    other = await issueAuthority('another mesh', laterMs);
  });

  const key = newKey();
  const issuerOf = ({ certificate, key: pem }: Pair) => ({ certificate, key: createPrivateKey(pem) });
  const certified = async (
    by: Pair,
    wish: Partial<{ node: string; publicKey: string; mayLead: boolean; endsAtMs: number }> = {},
  ) => {
    const { endsAtMs = laterMs, ...who } = wish;
    return certificateAdmission(
      await issueNode(issuerOf(by), { node: 'pi', publicKey: key, mayLead: true, ...who }, endsAtMs),
    );
  };
  const status = (admission: string): NodeStatus => ({ ...nodeStatus('pi'), publicKey: key, mayLead: true, admission });
  const admitter = (ca?: string) =>
    new Admitter({
      connection: { host: 'h', port: 1, mesh: 'm', ...(ca === undefined ? {} : { ca }) },
      authority: () => authority.certificate,
    });

  it('takes a certificate of the CA, and lets it lead as it says', async () => {
    const judge = admitter(fingerprintOf(authority.certificate));
    assert.deepEqual(judge.judge(status(await certified(authority))), { admitted: true, mayLead: true });
    const follower = status(await certified(authority, { mayLead: false }));
    assert.deepEqual(judge.judge(follower), { admitted: true, mayLead: false });
    const modest = { ...status(await certified(authority)), mayLead: false };
    assert.deepEqual(judge.judge(modest), { admitted: true, mayLead: false });
  });

  it('takes none of another CA, for another name or key, that has ended, or that is none', async () => {
    const none = { admitted: false, mayLead: false };
    for (const admission of [
      await certified(other),
      await certified(authority, { node: 'pi-2' }),
      await certified(authority, { node: 'pi', publicKey: newKey() }),
      'A'.repeat(300),
    ]) {
      assert.deepEqual(admitter().judge(status(admission)), none);
    }
    const ended = await certified(authority, { endsAtMs: Date.now() - 1_000 });
    assert.equal(admitter().judge(status(ended)).admitted, false);
  });

  it('knows no CA, or one that is not that of its connection: it admits nobody by it', async () => {
    const admission = await certified(authority);
    const blind = new Admitter({ connection: { host: 'h', port: 1, mesh: 'm' }, authority: () => undefined });
    assert.equal(blind.judge(status(admission)).admitted, false);
    assert.throws(() => admitter(fingerprintOf(other.certificate)).judge(status(admission)), {
      code: 'MESH_CA_MISMATCH',
    });
  });
});
