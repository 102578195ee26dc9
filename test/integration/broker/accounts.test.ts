import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { formatConnection, parseConnection } from '@foremesh/node-runtime/contract';
import {
  account,
  endAll,
  loginCode,
  makeBroker,
  makeClient,
  makeHome,
  type TestBroker,
  whenClosed,
} from './support.ts';

const launcher = fileURLToPath(new URL('../../../node-runtime/bin/foremesh.mjs', import.meta.url));

describe('broker: the command `accounts`', () => {
  afterEach(endAll);

  /** `foremesh accounts ...` in a process of its own. */
  async function run(home: string, words: readonly string[], input = '') {
    const child = spawn(process.execPath, [launcher, 'accounts', ...words, '--home', home], { stdio: 'pipe' });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.stdin.end(input);
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    return { code, stdout, stderr };
  }
  async function json(home: string, ...words: readonly string[]): Promise<Record<string, unknown>> {
    const { code, stdout, stderr } = await run(home, [...words, '--json']);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout) as Record<string, unknown>;
  }
  /** A broker whose own timer looks at the accounts in an hour. */
  const makePatientBroker = async () => {
    const broker = await makeBroker({ limits: { accountsCheckMs: 3_600_000 } });
    const connection = { host: '127.0.0.1', port: broker.tcpPort, mesh: 'home' };
    const own = { ...connection, account: account.username, password: account.password };
    await writeFile(join(broker.home, 'connection'), formatConnection(own));
    return broker;
  };
  const loginOf = (answer: Record<string, unknown>) => ({
    username: String(answer.account),
    password: String(answer.password),
  });
  const login = (broker: TestBroker, answer: Record<string, unknown>) => loginCode(broker.url, loginOf(answer));

  it('makes accounts, authors unless said, whose strings let them in at a broker that runs', async () => {
    const broker = await makePatientBroker();
    const ann = await json(broker.home, 'add', 'ann');
    const vera = await json(broker.home, 'add', 'vera', '--role', 'viewer');
    const { accounts } = await json(broker.home, 'list');
    assert.deepEqual(accounts, [
      { name: 'tester', role: 'owner' },
      { name: 'ann', role: 'author' },
      { name: 'vera', role: 'viewer' },
    ]);
    assert.deepEqual([await login(broker, ann), await login(broker, vera)], [0, 0]);
    const connection = parseConnection(String(ann.connection));
    assert.deepEqual([connection.account, connection.password, connection.port], ['ann', ann.password, broker.tcpPort]);
    assert.equal((await stat(join(broker.home, 'accounts.json'))).mode & 0o777, 0o600);
    const file = await readFile(join(broker.home, 'accounts.json'), 'utf8');
    assert.ok(!file.includes(String(ann.password)));
  });

  it('changes a password, drawn or read from standard input, and drops who came with the old one', async () => {
    const broker = await makePatientBroker();
    const first = await json(broker.home, 'add', 'ann', '--role', 'owner');
    const { client } = await makeClient(broker.url, loginOf(first));
    const closed = whenClosed(client);
    const { code, stdout } = await run(broker.home, ['password', 'ann', '--stdin'], 'swordfish and chips\n');
    assert.equal(code, 0);
    assert.match(stdout, /foremesh:\/\/ann:swordfish%20and%20chips@/);
    await closed;
    assert.equal(await login(broker, first), 4);
    assert.equal(await loginCode(broker.url, { username: 'ann', password: 'swordfish and chips' }), 0);
    assert.deepEqual((await json(broker.home, 'list')).accounts, [
      { name: 'tester', role: 'owner' },
      { name: 'ann', role: 'owner' },
    ]);
    // That of the machine itself is changed in its connection too.
    const own = await json(broker.home, 'password', 'tester');
    const connection = parseConnection(await readFile(join(broker.home, 'connection'), 'utf8'));
    assert.equal(connection.password, own.password);
    assert.equal((await stat(join(broker.home, 'connection'))).mode & 0o777, 0o600);
    assert.equal(await login(broker, own), 0);
  });

  it('removes an account and drops its connections', async () => {
    const broker = await makePatientBroker();
    const ann = await json(broker.home, 'add', 'ann');
    const [gone, stays] = [await makeClient(broker.url, loginOf(ann)), await makeClient(broker.url)];
    const closed = whenClosed(gone.client);
    await json(broker.home, 'remove', 'ann');
    await closed;
    assert.equal(await login(broker, ann), 4);
    assert.equal(stays.client.connected, true);
  });

  it('says what is wrong, and changes nothing then', async () => {
    const broker = await makePatientBroker();
    const before = await readFile(join(broker.home, 'accounts.json'), 'utf8');
    for (const [words, expected] of [
      [['add', 'tester'], /there is an account "tester" already .*MESH_CONFIG_INVALID/],
      [['add', 'a b'], /MESH_TOPIC_INVALID/],
      [['add', 'a--b'], /cannot be the name of an account/],
      [['add', 'x'.repeat(49)], /cannot be the name of an account/],
      [['add', 'ann', '--role', 'king'], /use one of owner, author, viewer/],
      [['add', 'ann', '--stdin'], /a password has 8 to 256 bytes/],
      [['password', 'nobody'], /there is no account "nobody"/],
      [['remove', 'nobody'], /there is no account "nobody"/],
      [['remove', 'tester'], /is the account that this machine itself connects with/],
    ] as const) {
      const { code, stderr, stdout } = await run(broker.home, words, 'short\n');
      assert.deepEqual([code, stdout], [2, ''], words.join(' '));
      assert.match(stderr, expected, words.join(' '));
    }
    assert.equal(await readFile(join(broker.home, 'accounts.json'), 'utf8'), before);
    const elsewhere = await makeHome();
    assert.match((await run(elsewhere, ['remove', 'tester'])).stderr, /is the only owner/);
    assert.match((await run(join(elsewhere, 'typo'), ['add', 'ann'])).stderr, /this is not the home of a broker/);
  });
});
