import assert from 'node:assert/strict';
import { type SignedManifest, trustMend } from '@foremesh/node-runtime/contract';
import { assigned, blobNamed, code, done, failed, Leader, nodeStatus, planOf, stagePlan } from './samples.ts';

const key = 'A'.repeat(43);
const manifest: SignedManifest = {
  v: 1,
  code: blobNamed('c').blob,
  name: 'blur',
  version: 1,
  expiresMs: 1e15,
  capabilities: [],
  limits: { memoryBytes: 1e9, cpuMs: 1e9, wallMs: 1e9, outputBytes: 1e9 },
  key,
  signature: 'A'.repeat(86),
};
const signed = { ...code, engine: 'node', manifest } as const;
const engines: ('js' | 'node')[] = ['js', 'node'];
const trusts = [{ key, capabilities: [] }];

describe('planner: trust', () => {
  function led(): Leader {
    const leader = new Leader();
    leader.elect();
    return leader;
  }
  const unplaceable = (leader: Leader) => leader.planner.jobs.get('me/j')!.stages.get('s')!.unplaceable;

  it('hands signed code only to nodes that trust its author with what it asks for, and says whom to ask', () => {
    const leader = led();
    leader.join('bob', { engines });
    leader.join('cyd', { engines: ['js'], trusts });
    assert.deepEqual(assigned(leader.submit('j', planOf(stagePlan('s', { code: signed })))), []);
    assert.match(unplaceable(leader)!.message, /bob: key 0{16} is not trusted; cyd: has no engine node/);
    assert.ok(unplaceable(leader)!.mend!.includes(trustMend(manifest, 'bob')));
    const more = leader.step({ type: 'node-status', status: nodeStatus('bob', { seq: 2, engines, trusts }) });
    const { request } = leader.planner.nodes.get('bob')!;
    const after = leader.report('bob', [{ type: 'inventory', request, attempts: [] }]);
    assert.deepEqual(
      assigned([...more, ...after]).map(({ node }) => node),
      ['bob'],
    );
  });

  it('code that is not signed, or wants the network, runs nowhere that did not allow it; a merge too', () => {
    const leader = led();
    leader.join('bob', { engines, trusts });
    const { manifest: _, ...bare } = signed;
    assert.deepEqual(assigned(leader.submit('i', planOf(stagePlan('s', { code: bare })))), []);
    const network = { ...signed, manifest: { ...manifest, capabilities: ['network' as const] } };
    assert.deepEqual(assigned(leader.submit('k', planOf(stagePlan('s', { code: network })))), []);
    assert.equal(assigned(leader.submit('l', planOf(stagePlan('s', { code: signed })))).length, 1);
  });

  it('a node that refuses the code is not asked again, another is; counted against nobody', () => {
    const leader = led();
    leader.join('bob', { engines, trusts });
    const [first] = assigned(leader.submit('j', planOf(stagePlan('s', { code: signed }))));
    leader.report('bob', [failed(first!.attempt, 'node', 'MESH_CODE_ROLLBACK')]);
    for (let times = 0; times < 20; times += 1) {
      assert.deepEqual(assigned(leader.step({ type: 'tick' }, 5_000)), []);
      leader.report('bob', []);
    }
    assert.equal(leader.planner.ledger.jobs.get('me/j')!.phase, 'running', 'it waits');
    assert.match(unplaceable(leader)!.message, /^stage s fits no node \(bob: /);
    const effects = leader.join('cyd', { engines, trusts });
    const [second] = assigned(effects ?? leader.step({ type: 'tick' }, 1_000));
    assert.equal(second?.node, 'cyd');
    leader.report('cyd', [done(second!.attempt)]);
    assert.equal(leader.planner.ledger.jobs.get('me/j')!.phase, 'done');
  });
});
