import assert from 'node:assert/strict';
import { meshAcrossNetwork } from './secured-mesh.ts';

describe('the doctor of a node that has joined', function () {
  this.timeout(180_000);
  const { network, mesh } = meshAcrossNetwork();

  const doctor = async () => {
    const { code, stdout, stderr } = await mesh.run(['doctor', '--home', mesh.home('pi'), '--json'], network.prefix);
    assert.notEqual(stdout, '', stderr);
    const { findings } = JSON.parse(stdout) as { findings: { check: string; verdict: string; text: string }[] };
    return { code, of: (check: string) => findings.find((each) => each.check === check) };
  };

  it('goes the way over TLS by the certificate of the node, and says when the mesh has removed it', async () => {
    const invitation = await mesh.invite();
    const joining = await mesh.run(['join', invitation, '--home', mesh.home('pi'), '--name', 'pi'], network.prefix);
    assert.equal(joining.code, 0, joining.stderr);
    const well = await doctor();
    assert.equal(well.code, 0);
    for (const check of ['certificate', 'port', 'login', 'round trip', 'leader'])
      assert.equal(well.of(check)?.verdict, 'ok');
    assert.match(well.of('login')!.text, /let in as pi over TLS/);
    assert.match(well.of('leader')!.text, /hub has said that it leads/);
    assert.equal(well.of('answer'), undefined, 'a node asks the leader nothing');
    await mesh.succeed('nodes', 'remove', 'pi', '--home', mesh.home('hub'), '--json');
    const removed = await doctor();
    assert.deepEqual([removed.code, removed.of('port')!.verdict, removed.of('login')!.verdict], [1, 'ok', 'problem']);
  });
});
