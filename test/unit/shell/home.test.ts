import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Connection, formatConnection, isPublicKey } from '../../../node-runtime/contract/index.ts';
import { writeDurably, writeDurablyNow } from '../../../node-runtime/shell/durable-file.ts';
import { foundMesh } from '../../../node-runtime/shell/found.ts';
import {
  type Home,
  identityOf,
  openHome,
  openIdentity,
  readConnection,
  readMeshFile,
  readNodeFile,
  writeConnection,
} from '../../../node-runtime/shell/home.ts';
import { endAll, meshError, scratch } from './scratch.ts';

const id = 'A'.repeat(43);
const connection: Connection = {
  host: '::1',
  port: 1884,
  mesh: 'm',
  meshId: id,
  account: 'owner',
  password: 'a:b/c@d %é',
};

describe('a home', () => {
  let home: Home;
  beforeEach(async () => {
    home = openHome(join(await scratch(), 'home'), {});
  });
  afterEach(endAll);

  it('is what is asked for, else $FOREMESH_HOME, else ~/.foremesh', () => {
    assert.equal(openHome('/a', { FOREMESH_HOME: '/b' }).directory, '/a');
    assert.equal(openHome(undefined, { FOREMESH_HOME: '/b' }).trustFile, '/b/node/trust.json');
    assert.match(openHome(undefined, {}).connectionFile, /\/\.foremesh\/connection$/);
  });

  it('that is new has no mesh, no node, no connection', async () => {
    assert.deepEqual(
      [await readMeshFile(home), await readNodeFile(home), await readConnection(home)],
      [undefined, undefined, undefined],
    );
  });

  it('keeps the connection for its owner alone', async () => {
    await writeConnection(home, connection);
    await writeConnection(home, connection);
    assert.deepEqual(await readConnection(home), connection);
    assert.equal((await stat(home.connectionFile)).mode & 0o777, 0o600);
    assert.equal((await stat(home.directory)).mode & 0o077, 0);
  });

  const damaged: [string, (home: Home) => string, (home: Home) => Promise<unknown>, string[]][] = [
    [
      'connection',
      (at) => at.connectionFile,
      readConnection,
      [
        '',
        'x',
        'foremesh://a:b@h:99999/m',
        'foremesh://a:b@h:0/m',
        'foremesh://a:b@h/m m',
        'foremesh://a.b:c@h/m',
        'foremesh://a:%@h/m',
      ],
    ],
    [
      'mesh.json',
      (at) => at.meshFile,
      readMeshFile,
      [
        '',
        '{',
        'null',
        '[]',
        '{"v":1}',
        `{"v":2,"mesh":"m","id":"${id}","founder":"a"}`,
        `{"v":1,"mesh":"m m","id":"${id}","founder":"a"}`,
        '{"v":1,"mesh":"m","id":"short","founder":"a"}',
        '{"v":1,"mesh":"m","founder":"a"}',
      ],
    ],
    [
      'node.json',
      (at) => at.nodeFile,
      readNodeFile,
      ['', '\u0000\u0000', '7', '{"v":1,"node":""}', '{"v":1,"node":7}'],
    ],
  ];
  for (const [name, fileOf, read, contents] of damaged) {
    it(`names a damaged ${name}`, async () => {
      const file = fileOf(home);
      for (const content of contents) {
        await writeDurably(file, content);
        await assert.rejects(read(home), meshError('MESH_CONFIG_INVALID', file), JSON.stringify(content));
      }
    });
    it(`names a ${name} that cannot be read`, async () => {
      await mkdir(fileOf(home), { recursive: true });
      await assert.rejects(read(home), meshError('MESH_STORAGE_FAILED', fileOf(home)));
    });
  }

  describe('identity', () => {
    it('is made once and stays', async () => {
      const made = await identityOf(home, undefined);
      assert.match(made, /^[\w-]{1,64}$/);
      assert.equal(await identityOf(home, undefined), made);
      assert.equal(await identityOf(home, made), made);
      await assert.rejects(identityOf(home, 'other'), meshError('MESH_CONFIG_INVALID', home.nodeFile));
    });

    it('is the name asked for, when that is an identifier; another is not written down', async () => {
      for (const name of ['', 'a b', 'a/b', 'x'.repeat(65), '../a']) {
        await assert.rejects(identityOf(home, name), meshError('MESH_TOPIC_INVALID', 'node'));
      }
      assert.equal(await identityOf(home, 'ada'), 'ada');
      assert.deepEqual(await readNodeFile(home), { v: 1, node: 'ada' });
    });

    it('that is damaged is not replaced by a new one', async () => {
      await writeDurably(home.nodeFile, '{"v":1,"nod');
      await assert.rejects(identityOf(home, 'ada'), meshError('MESH_CONFIG_INVALID', home.nodeFile));
      assert.equal(await readFile(home.nodeFile, 'utf8'), '{"v":1,"nod');
    });
  });

  describe('the key of an identity', () => {
    it('is made once, for its owner alone, and stays', async () => {
      const made = await openIdentity(home, 'ada');
      assert.ok(isPublicKey(made.publicKey));
      assert.equal((await stat(home.keyFile)).mode & 0o777, 0o600);
      assert.match(await readFile(home.keyFile, 'utf8'), /^-----BEGIN PRIVATE KEY-----\n/);
      const again = await openIdentity(home, undefined);
      assert.equal(again.publicKey, made.publicKey);
      assert.ok(again.privateKey.equals(made.privateKey));
      const other = await openIdentity(openHome(join(home.directory, 'other'), {}), 'ada');
      assert.notEqual(other.publicKey, made.publicKey);
    });

    it('is on disk before the name: a crash between the two loses neither', async () => {
      const made = await openIdentity(home, 'ada');
      await rm(home.nodeFile);
      assert.equal((await openIdentity(home, 'bob')).publicKey, made.publicKey);
    });

    it('that is missing or damaged is an error that says what to do, and is not replaced', async () => {
      await openIdentity(home, 'ada');
      const pem = await readFile(home.keyFile, 'utf8');
      const foreign = generateKeyPairSync('x25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
      for (const content of ['', 'x', pem.slice(0, 60), pem.replace(/\n[A-Za-z0-9]{8}/, '\nAAAAAAAA'), foreign]) {
        await writeFile(home.keyFile, content);
        await assert.rejects(openIdentity(home, 'ada'), meshError('MESH_IDENTITY_DAMAGED', home.keyFile));
        assert.equal(await readFile(home.keyFile, 'utf8'), content);
      }
      await rm(home.keyFile);
      await assert.rejects(
        openIdentity(home, 'ada'),
        meshError('MESH_IDENTITY_DAMAGED', 'remove node.json and node.key'),
      );
      assert.deepEqual(await readdir(home.directory), ['node.json']);
      await mkdir(home.keyFile);
      await assert.rejects(openIdentity(home, 'ada'), meshError('MESH_STORAGE_FAILED', home.keyFile));
    });
  });

  describe('founding', () => {
    const createAccount = async () => 'secret';

    it('writes mesh, founder and connection, once', async () => {
      const made = await foundMesh({ home, node: 'ada', createAccount });
      assert.deepEqual(await readConnection(home), made);
      assert.deepEqual(await readMeshFile(home), { v: 1, mesh: made.mesh, id: made.meshId, founder: 'ada' });
      assert.equal(made.meshId, (await openIdentity(home, undefined)).publicKey);
      assert.match(made.mesh, /^mesh-[0-9a-f]{8}$/);
      assert.equal((await stat(home.connectionFile)).mode & 0o777, 0o600);
      await assert.rejects(foundMesh({ home, createAccount }), meshError('MESH_CONFIG_INVALID', made.mesh));
    });

    it('is refused where a mesh was joined', async () => {
      await writeConnection(home, connection);
      await assert.rejects(foundMesh({ home, createAccount }), meshError('MESH_CONFIG_INVALID', home.directory));
    });

    it('refuses names that are no identifiers before anything is written', async () => {
      for (const names of [{ mesh: 'a b' }, { account: 'a/b' }, { node: '' }]) {
        await assert.rejects(foundMesh({ home, createAccount, ...names }), meshError('MESH_TOPIC_INVALID'));
        assert.deepEqual(await readdir(home.directory), []);
      }
    });

    it('that failed can be tried again', async () => {
      const failing = foundMesh({ home, node: 'ada', createAccount: () => Promise.reject(new Error('no disk')) });
      await assert.rejects(failing, /no disk/);
      await foundMesh({ home, createAccount });
      assert.equal((await readMeshFile(home))?.founder, 'ada');
    });
  });

  it('writes files whole, over what a crash left behind', async () => {
    const file = join(home.directory, 'file');
    await writeDurably(`${file}.new`, 'half');
    await writeDurably(file, 'one');
    assert.equal(await readFile(file, 'utf8'), 'one');
    writeDurablyNow(file, 'two');
    assert.equal(await readFile(file, 'utf8'), 'two');
    assert.deepEqual((await readdir(home.directory)).sort(), ['file']);
    assert.equal(formatConnection(connection).includes('é'), false);
  });
});
