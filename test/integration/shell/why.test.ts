import assert from 'node:assert/strict';
import { runCli } from '@foremesh/node-runtime/cli';
import { formatConnection } from '@foremesh/node-runtime/contract';
import { FakeIo } from '../../unit/cli/fake-io.ts';
import { jobOf, Mesh } from './mesh.ts';
import { endAll, until } from './support.ts';

describe('foremesh why', () => {
  let mesh: Mesh;
  before(async () => {
    mesh = await Mesh.start({ labels: ['hub'] });
  });
  after(endAll);

  async function why(...words: string[]) {
    const io = new FakeIo(mesh.directory, { FOREMESH_CONNECTION: formatConnection(mesh.connection) });
    const code = await runCli(['why', ...words], io);
    return { code, io };
  }

  it('names what each node lacks, and ends with 2 when there is no room', async () => {
    await mesh.submit('blur-x', { stages: { blur: { ...jobOf('return 1').stages.main, labels: ['camera'] } } });
    await until('it cannot be placed', () => mesh.state('blur-x')?.stages[0]?.reason === 'unplaceable');
    for (const what of ['blur-0', 'blur-x', 'blur-x/blur-0']) {
      const { code, io } = await why(what);
      assert.equal(code, 2, io.err);
      const [first, ada, last] = io.text.split('\n');
      assert.equal(first, 'blur-0 (job blur-x) waits: no node that is here can take it');
      assert.equal(ada, '  ada  lacks camera  -> start it with --labels camera');
      assert.match(last!, /^MESH_NO_ROOM: start a node that can take it/);
    }
    const { io } = await why('blur-0', '--json');
    assert.deepEqual(
      (io.documents[0]!.nodes as { reason: string }[]).map(({ reason }) => reason),
      ['labels'],
    );
    await mesh.cancel('blur-x');
  });

  it('says where a task runs, what waits behind it, and what is not there', async () => {
    await mesh.submit('long', jobOf('for (;;) await null;', { priority: 7 }));
    await until('it runs', () => mesh.state('long')?.stages[0]?.running === 1);
    await mesh.submit('short', { stages: { after: jobOf('return 1').stages.main! } });
    await until('it waits', () => mesh.state('short')?.stages[0]?.reason === 'queued');
    const running = await why('main-0');
    assert.equal(running.code, 0);
    assert.match(running.io.text, /^main-0 \(job long\) runs on ada\n {2}for .*, as owner\/long\/main-0#1\.\d+\n/);
    assert.match(
      running.io.text,
      /\n {2}ada {2}\d+\.\d\d of a Raspberry Pi 4's core for each slot, 1 free {2}<- chosen\n/,
    );
    const waiting = await why('short');
    assert.equal(waiting.code, 0);
    assert.match(waiting.io.text, /^after-0 \(job short\) waits: .* it is the next\n {2}ada {2}runs 1 of 1\n/);
    await mesh.cancel('long');
    assert.equal((await mesh.result('short')).phase, 'done');
    assert.match((await why('after-0')).io.text, /^after-0 \(job short\) done by ada in \d+ ms\n$/);
    assert.equal((await why('long')).code, 4);
    const unknown = await why('nothing-0');
    assert.equal(unknown.code, 2);
    assert.match(unknown.io.err, /no job and no task "nothing-0" of account owner.*MESH_TASK_UNKNOWN/);
  });
});
