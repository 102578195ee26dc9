import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../../support/until.ts';
import { freePort } from './fleet.ts';
import { ForemeshProcess, foremesh, processesMatching } from './processes.ts';

describe('foremesh up', function () {
  this.timeout(60_000);
  let home: string;
  let words: string[];
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'foremesh-up-'));
    const [port, webSocketPort] = [await freePort(), await freePort()];
    words = [
      'up',
      '--home',
      home,
      '--name',
      'solo',
      '--port',
      String(port),
      '--websocket-port',
      String(webSocketPort),
      '--slots',
      '1',
    ];
  });
  afterEach(() => rm(home, { recursive: true }));

  const online = (up: ForemeshProcess) => until('the node is online', () => up.stdout.includes('solo is in mesh'));
  /** The supervisor's children, by the command they run. */
  const children = (up: ForemeshProcess) => processesMatching(home).filter((pid) => pid !== up.pid);

  it('founds a mesh, runs it, and ends it in order', async () => {
    const up = new ForemeshProcess(words);
    await online(up);
    const { stdout } = await foremesh('nodes', '--home', home, '--json');
    assert.equal(JSON.parse(stdout).nodes[0].status.node, 'solo');
    // It makes a key for its owner's code, and trusts it: engine `node` is ready.
    const [key] = JSON.parse((await foremesh('keys', 'list', '--home', home, '--json')).stdout);
    const { keys } = JSON.parse((await foremesh('trust', '--list', '--home', home, '--json')).stdout);
    assert.deepEqual(keys, [{ id: key.id, key: key.key, capabilities: [] }]);
    await up.kill('SIGTERM');
    assert.deepEqual(processesMatching(home), []);
  });

  it('listens where `init` was told that others reach it', async () => {
    const [port, webSocketPort] = [await freePort(), await freePort()];
    const init = await foremesh(
      'init',
      '--home',
      home,
      '--name',
      'solo',
      '--host',
      '127.0.0.1',
      '--port',
      String(port),
    );
    assert.equal(init.code, 0, init.stderr);
    const up = new ForemeshProcess(['up', '--home', home, '--websocket-port', String(webSocketPort), '--slots', '1']);
    await online(up);
    assert.ok(up.stdout.includes(`* broker mqtt://127.0.0.1:${port}`), up.stdout);
    await up.kill('SIGTERM');
  });

  it('starts a child again that was killed', async () => {
    const up = new ForemeshProcess(words);
    await online(up);
    const before = children(up);
    assert.equal(before.length, 2);
    for (const pid of before) process.kill(pid, 'SIGKILL');
    await until(
      'both are there again',
      () => children(up).length === 2 && children(up).every((pid) => !before.includes(pid)),
    );
    await until('the mesh answers', async () => (await foremesh('nodes', '--home', home, '--json')).code === 0);
    await up.kill('SIGTERM');
  });

  it('leaves nobody behind when it is killed itself', async () => {
    const up = new ForemeshProcess(words);
    await online(up);
    await up.kill('SIGKILL');
    await until('its children have ended', () => processesMatching(home).length === 0);
  });
});
