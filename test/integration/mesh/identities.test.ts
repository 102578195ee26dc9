import assert from 'node:assert/strict';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from '../../support/until.ts';
import { Fleet } from './fleet.ts';
import { outputOf, squaresJob, sumOfSquares } from './jobs.ts';
import { type Ended, ForemeshProcess } from './processes.ts';

describe('who a node is', function () {
  this.timeout(120_000);
  let fleet: Fleet;
  beforeEach(async () => {
    fleet = await Fleet.start();
  });
  afterEach(() => fleet.stop());

  /** Runs a node in a home of its own until it ends by itself. */
  function endOf(home: string, ...words: string[]): Promise<Ended> {
    const node = new ForemeshProcess(['node', '--home', home, '--slots', '1', '--log-level', 'silent', ...words]);
    fleet.later(() => node.kill('SIGKILL')); // should it not end, this test does
    return node.exited;
  }

  it('of two machines with one disk the younger ends, and says why; the older goes on', async () => {
    const bob = await fleet.startNode('bob');
    const copy = join(fleet.directory, 'copy');
    await cp(fleet.home('bob'), copy, { recursive: true, filter: (file) => !file.endsWith('lock') });
    const { code, stderr } = await endOf(copy);
    assert.equal(code, 2);
    assert.match(stderr, /another machine runs under the identity of bob.*MESH_IDENTITY_CLONED.*remove node.json/s);
    assert.equal(bob.child.exitCode, null);
    const client = await fleet.client();
    await until('bob is there', async () =>
      (await client.nodes()).rows.some(({ status }) => status.node === 'bob' && status.online),
    );
    assert.equal(
      outputOf(await client.submit(squaresJob(40, 8, 50_000), { id: 'goes-on' }).result()),
      sumOfSquares(40),
    );
  });

  it('a name that the mesh knows with another key is refused, and so is one without the string', async () => {
    await fleet.startNode('bob');
    const client = await fleet.client();
    await until('bob is known', async () => (await client.nodes()).rows.length === 2);
    const other = await endOf(join(fleet.directory, 'other'), '--name', 'bob', '--join', fleet.connectionString);
    assert.equal(other.code, 2);
    assert.match(other.stderr, /the mesh knows a node "bob", with another key.*MESH_NOT_ADMITTED/);
    const short = await endOf(
      join(fleet.directory, 'short'),
      '--join',
      fleet.connectionString.replace(/\?id=[^&]*/, ''),
    );
    assert.equal(short.code, 2);
    assert.match(short.stderr, /a node needs the id of its mesh/);
  });

  it('a node does not follow a mesh of the same name that another founder made', async () => {
    await fleet.startNode('bob');
    await fleet.stopNode('bob');
    // The broker and the account are the same, the founder's key is not: nobody that bob believes leads here.
    const file = join(fleet.home('bob'), 'connection');
    const text = await readFile(file, 'utf8');
    const strange = 'A'.repeat(43);
    await writeFile(file, text.replace(/\?id=[^&\n]*/, `?id=${strange}`));
    const { code, stderr } = await endOf(fleet.home('bob'));
    assert.equal(code, 2);
    assert.match(stderr, /this home belongs to another mesh/);
  });
});
