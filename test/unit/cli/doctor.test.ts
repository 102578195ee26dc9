import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli } from '@foremesh/node-runtime/cli';
import { type Connection, formatConnection, type QueryAsk } from '@foremesh/node-runtime/contract';
import { release } from '@foremesh/node-runtime/shell';
import { ScriptedMesh } from '../sdk/scripted-mesh.ts';
import { FakeIo } from './fake-io.ts';

interface Found {
  readonly check: string;
  readonly verdict: string;
  readonly text: string;
  readonly mend?: string;
}

describe('cli: doctor', () => {
  let mesh: ScriptedMesh;
  let home: string;
  let clockMs = 0;
  let releases: readonly string[];
  let away: readonly string[];

  const voters = ['ada', 'bob', 'cyd'];
  function answer(ask: QueryAsk) {
    const settings = { count: 'auto' as const, settleMs: 1, replaceAfterMs: 1 };
    const rows = voters.map((node, index) => ({
      ...{ node, role: index === 0 ? ('leader' as const) : ('voter' as const), behind: 0 },
      ...(away.includes(node) ? { awayMs: 1 } : {}),
    }));
    if (ask.query === 'voters')
      return {
        query: 'voters' as const,
        term: 1,
        wallMs: Date.now() + clockMs,
        voters: rows,
        settings,
        candidates: [],
      };
    if (ask.query !== 'nodes') return undefined;
    const status = (node: string, of: string) => ({
      ...{ v: 1 as const, node, bootId: 'b', seq: 1, online: true, release: of, arch: 'x64', platform: 'linux' },
      ...{ cores: 1, memoryBytes: 1, engines: [], speed: {}, labels: [], share: 1, slots: 1, queue: 1 },
      ...{ offeredMemoryBytes: 1, mayLead: true, publicKey: 'A'.repeat(43), admission: 'A'.repeat(43) },
    });
    const nodes = releases.map((of, n) => ({
      status: status(`n${n}`, of),
      running: 0,
      tasksDone: 0,
      silentMs: 0,
      leads: false,
    }));
    return { query: 'nodes' as const, nodes, truncated: 0 };
  }

  beforeEach(async () => {
    [clockMs, releases, away] = [0, [release, release], []];
    home = await mkdtemp(join(tmpdir(), 'foremesh-doctor-'));
    mesh = await ScriptedMesh.start();
    mesh.answer = answer;
    await mesh.announce('box');
  });
  afterEach(async () => {
    await mesh.close();
    await rm(home, { recursive: true, force: true });
  });

  async function doctor(connection: Partial<Connection> = {}) {
    const all = { ...mesh.connection, ...connection };
    const io = new FakeIo(home, { FOREMESH_CONNECTION: formatConnection(all) });
    const code = await runCli(['doctor', '--json'], io);
    const { findings } = io.documents[0] as unknown as { findings: Found[] };
    const of = (check: string) => findings.find((each) => each.check === check);
    const verdictOf = (check: string) => of(check)?.verdict;
    return { code, findings, of, verdictOf };
  }

  it('finds nothing wrong where nothing is, and says what it looked at', async () => {
    const { code, findings } = await doctor();
    assert.equal(code, 0, JSON.stringify(findings));
    assert.deepEqual(
      findings.map(({ check, verdict }) => `${check} ${verdict}`),
      [
        'permissions',
        'disk',
        'fsync',
        'port',
        'login',
        'round trip',
        'leader',
        'answer',
        'clock',
        'voters',
        'releases',
      ].map((check) => `${check} ok`),
    );
    const io = new FakeIo(home, { FOREMESH_CONNECTION: formatConnection(mesh.connection) });
    assert.equal(await runCli(['doctor'], io), 0);
    assert.match(io.text, /^ok {7}voters {7}3 voters: survives the loss of 1 more$/m);
    assert.match(io.text, /\n0 problems, 0 warnings\n$/);
  });

  it('names secrets that others can read', async () => {
    for (const name of ['node.key', 'node.json']) await writeFile(join(home, name), '');
    await chmod(join(home, 'node.key'), 0o640);
    const { code, of } = await doctor();
    assert.equal(code, 1);
    assert.deepEqual(
      [of('permissions')!.verdict, of('permissions')!.mend],
      ['problem', `chmod 600 ${join(home, 'node.key')}`],
    );
    await chmod(join(home, 'node.key'), 0o600);
    assert.equal((await doctor()).verdictOf('permissions'), 'ok');
  });

  it('says where the way to the broker ends', async () => {
    const unknown = await doctor({ host: 'no-such-host.invalid' });
    assert.deepEqual([unknown.code, unknown.verdictOf('name'), unknown.verdictOf('port')], [1, 'problem', undefined]);
    const refused = await doctor({ password: 'wrong' });
    assert.deepEqual([refused.code, refused.verdictOf('port'), refused.verdictOf('login')], [1, 'ok', 'problem']);
    assert.match(refused.of('login')!.text, /MESH_NOT_AUTHORIZED/);
    assert.equal(refused.verdictOf('answer'), undefined, 'who is not let in asks nobody');
    await mesh.stopBroker();
    const gone = await doctor();
    assert.deepEqual([gone.code, gone.verdictOf('port'), gone.verdictOf('login')], [1, 'problem', undefined]);
    assert.match(gone.of('port')!.text, /ECONNREFUSED/);
    await mesh.startBroker();
  });

  it('says, in the home of the broker, whether anybody has its port', async () => {
    await writeFile(join(home, 'mesh.json'), '{}');
    assert.equal((await doctor()).verdictOf('listening'), 'ok');
    await mesh.stopBroker();
    const nobody = await doctor();
    assert.match(nobody.of('listening')!.text, /does not run: nobody listens/);
    // Somebody has it on another address of this machine.
    const { port } = mesh.connection;
    const other = createServer().listen(port, '127.0.0.2');
    await new Promise((resolve) => other.once('listening', resolve));
    assert.match((await doctor()).of('listening')!.text, /something else has port/);
    await new Promise((resolve) => other.close(resolve));
    await mesh.startBroker();
  });

  it('says when nobody leads', async function () {
    this.timeout(60_000);
    await mesh.publishRaw(mesh.topics.leader(), new Uint8Array(0), true);
    mesh.answer = () => undefined;
    const { code, of, verdictOf } = await doctor();
    assert.equal(code, 1);
    assert.match(of('leader')!.text, /nobody has ever said/);
    assert.match(of('answer')!.text, /MESH_NO_LEADER/);
    assert.equal(verdictOf('voters'), undefined);
  });

  it('compares clocks, releases and voters', async () => {
    for (const [ms, verdict, text] of [
      [500, 'ok', /behind/],
      [5_000, 'warning', /behind/],
      [-3_600_000, 'problem', /1 h before the leader's/],
    ] as const) {
      clockMs = ms;
      const { code, of } = await doctor();
      assert.deepEqual([of('clock')!.verdict, code], [verdict, verdict === 'problem' ? 1 : 0]);
      assert.match(of('clock')!.text, text);
    }
    clockMs = 0;
    releases = [release, '9.9.9'];
    away = ['cyd'];
    const { code, of } = await doctor();
    assert.equal(code, 0);
    assert.deepEqual([of('releases')!.verdict, of('voters')!.verdict], ['warning', 'warning']);
    assert.match(of('releases')!.text, /n1 9\.9\.9/);
    assert.match(of('voters')!.text, /3 voters, away: cyd: the loss of one more stops it/);
    away = [];
    voters.splice(1);
    assert.match((await doctor()).of('voters')!.text, /that one fsynced copy counts/);
  });

  it('says what is known without a connection, and without a home', async () => {
    const io = new FakeIo(join(home, 'nowhere'), {});
    assert.equal(await runCli(['doctor', '--json'], io), 1);
    const { findings } = io.documents[0] as unknown as { findings: Found[] };
    assert.deepEqual(
      findings.map(({ check, verdict }) => [check, verdict]),
      [
        ['home', 'ok'],
        ['connection', 'problem'],
      ],
    );
    await mkdir(join(home, 'nowhere'));
  });
});
