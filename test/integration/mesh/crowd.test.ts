import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { describeConnection, formatConnection, parseConnection, Topics } from '@foremesh/node-runtime/contract';
import { skipWithout } from '../../support/skip.ts';
import { until } from '../../support/until.ts';
import { Fleet } from './fleet.ts';
import { outputOf, squaresJob, sumOfSquares } from './jobs.ts';
import { ForemeshProcess, foremesh } from './processes.ts';

describe('a mesh with much going on', function () {
  this.timeout(120_000);
  let fleet: Fleet;
  before(async () => {
    fleet = await Fleet.start();
    await fleet.startNode('bob');
  });
  after(() => fleet.stop());

  it('finishes 50 jobs at once from three clients', async () => {
    const clients = await Promise.all([fleet.client(), fleet.client(), fleet.client()]);
    const results = await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const numbers = 20 + index;
        const result = await clients[index % 3]!.submit(squaresJob(numbers, 4, 100), { id: `crowd-${index}` }).result();
        return [outputOf(result), sumOfSquares(numbers)];
      }),
    );
    for (const [found, expected] of results) assert.equal(found, expected);
  });

  it('keeps two meshes on one broker apart', async () => {
    // The second founder has an account at the first one's broker, and its blobs are held there too.
    const home = join(fleet.directory, 'other');
    const { port } = fleet.connection;
    const founded = await foremesh(
      'init',
      '--home',
      home,
      '--name',
      'zoe',
      '--mesh',
      'other',
      '--port',
      String(port),
      '--json',
    );
    assert.equal(founded.code, 0, founded.stderr);
    const { account, password } = fleet.connection;
    const connection = formatConnection({
      ...parseConnection(JSON.parse(founded.stdout).connection),
      account,
      password,
    });
    await fleet.broker.kill('SIGTERM');
    await fleet.startBroker('--meshes', `${fleet.connection.mesh},other`);
    const zoe = new ForemeshProcess([
      'node',
      '--home',
      home,
      '--join',
      connection,
      '--slots',
      '1',
      '--json',
      '--log-level',
      'warn',
    ]);
    await zoe.ready();
    try {
      const [ours, theirs] = await Promise.all([fleet.client(), fleet.client(connection)]);
      const [here, there] = await Promise.all([
        ours.submit(squaresJob(40, 8, 1_000), { id: 'same-id' }).result(),
        theirs.submit(squaresJob(50, 8, 1_000), { id: 'same-id' }).result(),
      ]);
      assert.equal(outputOf(here), sumOfSquares(40));
      assert.equal(outputOf(there), sumOfSquares(50));
      assert.deepEqual(Object.keys(there.tasksByNode), ['zoe']);
      assert.equal(here.tasksByNode.zoe, undefined);
      const names = (await theirs.nodes()).rows.map((row) => row.status.node);
      assert.deepEqual(names, ['zoe'], describeConnection(parseConnection(connection)));
    } finally {
      await zoe.kill('SIGTERM');
    }
  });

  it('is not stalled by a subscriber that is frozen', async function () {
    skipWithout(this, 'mosquitto_sub', 'mosquitto-clients');
    const { port, account, password, mesh } = fleet.connection;
    const everything = `${new Topics(mesh).prefix}#`;
    const frozen = spawn('mosquitto_sub', [
      '-p',
      String(port),
      '-u',
      account,
      '-P',
      password,
      '-t',
      everything,
      '-q',
      '1',
      '-F',
      '%t',
    ]);
    let seen = '';
    frozen.stdout.on('data', (text: Buffer) => {
      seen += text.toString();
    });
    await until('mosquitto_sub receives', () => seen.includes('/status'));
    frozen.kill('SIGSTOP');
    const client = await fleet.client();
    // Thousands of messages that the frozen one does not take.
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        client.submit(squaresJob(400, 200, 1), { id: `frozen-${index}` }).result(),
      ),
    );
    for (const result of results) assert.equal(outputOf(result), sumOfSquares(400));
    frozen.kill('SIGKILL');
  });
});
