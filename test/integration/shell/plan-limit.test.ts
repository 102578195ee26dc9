import assert from 'node:assert/strict';
import { join } from 'node:path';
import { createAccount } from '@foremesh/broker';
import { type JobSpecInput, limits, MeshError } from '@foremesh/node-runtime/contract';
import { connectMesh, type MeshClient } from '@foremesh/node-runtime/sdk';
import { jobOf, Mesh } from './mesh.ts';
import { endAll, later, until } from './support.ts';

describe('plans that are asked for without end', function () {
  this.timeout(120_000);
  let mesh: Mesh;
  before(async () => {
    mesh = await Mesh.start();
  });
  after(endAll);

  async function clientOf(account: string): Promise<MeshClient> {
    const { password } = await createAccount(join(mesh.directory, 'ada'), account);
    const client = await connectMesh({ ...mesh.connection, account, password });
    later(() => client.close());
    return client;
  }

  it('are refused once the leader has planned for long enough, with when to ask again; others, and all else, are answered', async () => {
    const [eve, bob] = [await clientOf('eve'), await clientOf('bob')];
    const spec: JobSpecInput = jobOf('return 1', {
      input: { inline: 'a\n'.repeat(1_000) },
      split: { by: 'lines', chunks: 256 },
      estimate: 1_000,
    });
    let plans = 0;
    const endless = async () => {
      for (; plans < 100_000; plans += 1) await eve.plan(spec);
    };
    // Several at a time: what was asked before the time was over is not answered after it.
    const asking = await Promise.allSettled(Array.from({ length: 8 }, endless));
    for (const each of asking) {
      assert.ok(each.status === 'rejected');
      const { code, message, mend } = each.reason as MeshError;
      assert.equal(code, 'MESH_LIMIT_EXCEEDED', message);
      assert.match(message, new RegExp(`^planMsPerAccount is ${limits.planMsPerAccount}: .* for account eve$`));
      assert.match(mend!, /^ask again in \d+ s$/);
    }
    assert.ok(plans > 0);
    assert.deepEqual(await eve.jobs(), await bob.jobs());
    assert.equal((await bob.plan(spec)).tasks.length, 257);
    const planned = await until(
      'eve may ask again',
      () =>
        eve
          .plan(spec)
          .catch((error) =>
            error instanceof MeshError && error.code === 'MESH_LIMIT_EXCEEDED' ? undefined : Promise.reject(error),
          ),
      60_000,
    );
    assert.equal(planned.tasks.length, 257);
  });
});
