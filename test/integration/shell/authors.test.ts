import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as author from '@foremesh/author';
import { runCli } from '@foremesh/node-runtime/cli';
import { formatConnection, keyIdOf } from '@foremesh/node-runtime/contract';
import { connectMesh, items, job as jobOf } from '@foremesh/node-runtime/sdk';
import { probeContainment } from '../../../node-runtime/engines/index.ts';
import { skip } from '../../support/skip.ts';
import { FakeIo } from '../../unit/cli/fake-io.ts';
import { Mesh } from './mesh.ts';
import { endAll, later, until } from './support.ts';

const task = `import { createHash } from 'node:crypto';
import { platform } from 'node:os';
import words from 'tiny-words';
export default async (task) => { await task.yield(); return [createHash('sha256').update(words('a')).digest('hex').slice(0, 8), platform()]; };
`;

describe('engine node: authors, trust and what runs', function () {
  this.timeout(60_000);
  let mesh: Mesh;
  let folder: string;
  let key: string;
  before(async function () {
    const containment = await probeContainment();
    if (containment.kind !== 'namespaces') skip(this, `no walls here: ${JSON.stringify(containment)}`);
    mesh = await Mesh.start();
    folder = join(mesh.directory, 'work');
    // A package as npm would have installed it, in CommonJS.
    const packageFolder = join(folder, 'node_modules', 'tiny-words');
    await mkdir(packageFolder, { recursive: true });
    await writeFile(join(packageFolder, 'package.json'), '{"name":"tiny-words","version":"1.0.0","main":"index.js"}');
    await writeFile(join(packageFolder, 'index.js'), "const { EOL } = require('os'); module.exports = (x) => x + EOL;");
    await writeFile(join(folder, 'task.ts'), task);
  });
  after(endAll);

  /** As the author, who has a home of its own. */
  async function cli(...words: string[]) {
    const io = new FakeIo(folder, {
      FOREMESH_CONNECTION: formatConnection(mesh.connection),
      FOREMESH_HOME: join(mesh.directory, 'author'),
    });
    const code = await runCli(words, io);
    return { code, io };
  }
  async function ok(...words: string[]): Promise<string> {
    const { code, io } = await cli(...words);
    assert.equal(code, 0, io.err);
    return io.text.trim();
  }
  const job = async (more: string) => {
    await writeFile(
      join(folder, 'job.yaml'),
      `name: words\nstages:\n  main:\n    code: { file: task.ts, engine: node${more} }\n`,
    );
  };

  it('a key is made once, readable by its owner alone, and shown', async () => {
    const line = await ok('keys', 'new');
    key = await ok('keys', 'show');
    assert.equal(line, `author  ${keyIdOf(key)}  ${key}`);
    assert.equal(await ok('keys', 'list'), line);
    assert.equal((await stat(join(mesh.directory, 'author', 'keys', 'author.key'))).mode & 0o777, 0o600);
    const again = await cli('keys', 'new');
    assert.equal(again.code, 2);
    assert.match(again.io.err, /there is a key "author" already \(MESH_CONFIG_INVALID\)/);
    assert.match((await cli('keys', 'show', 'ada')).io.err, /MESH_KEY_UNKNOWN.*foremesh keys new ada/s);
  });

  it('waits where nobody trusts its author, says the command that mends it, and runs once it was given', async () => {
    await job('');
    await ok('submit', 'job.yaml', '--id', 'words-1', '--detach');
    await until('it cannot be placed', () => mesh.state('words-1')?.stages[0]?.reason === 'unplaceable');
    const why = await cli('why', 'words-1');
    assert.equal(why.code, 2);
    const mend = `foremesh trust ${key} --on ada`;
    assert.ok(why.io.text.includes(`  ada  key ${keyIdOf(key)} is not trusted  -> ${mend}`), why.io.text);

    // By the mend, word for word; before it, nobody is trusted.
    assert.match(await ok('trust', '--list', '--on', 'ada'), /trusts nobody/);
    await ok(...mend.split(' ').slice(1));
    const { outputs } = await mesh.result('words-1');
    assert.deepEqual(outputs, { main: { encoding: 'json', value: ['87428fc5', 'linux'] } });
    assert.match(await ok('trust', '--list', '--on', 'ada'), new RegExp(`^ada trusts ${keyIdOf(key)}`));
    const kept = JSON.parse(await readFile(join(mesh.directory, 'ada', 'trusted-authors.json'), 'utf8'));
    assert.deepEqual(kept, { v: 1, keys: [{ key, capabilities: [] }] });
  });

  it('the node refuses what the leader let pass: an older version, a time that is over', async () => {
    await job(', version: 5, name: words');
    await ok('submit', 'job.yaml', '--id', 'words-5');
    for (const [id, more, message] of [
      ['words-4', ', version: 4, name: words', /ada: .*version 4, and this node has accepted 5.*MESH_CODE_ROLLBACK/],
      ['words-6', ', version: 5, name: words, expires: 1ms', /ada: .*good until .*MESH_CODE_EXPIRED.*foremesh submit/],
    ] as const) {
      await job(more);
      await ok('submit', 'job.yaml', '--id', id, '--detach');
      await until('it cannot be placed', () => mesh.state(id)?.stages[0]?.reason === 'unplaceable');
      assert.match(mesh.state(id)!.problem!.message, message);
      assert.match((await cli('why', id)).io.text, id === 'words-4' ? /ROLLBACK/ : /EXPIRED/);
      await mesh.cancel(id);
    }
  });

  it('what needs more than the owner lets it do waits, and what is not signed too', async () => {
    await job(', capabilities: [network]');
    await ok('submit', 'job.yaml', '--id', 'words-7', '--detach');
    await mesh.submit('words-8', { stages: { main: { code: { engine: 'node', inline: 'export default () => 1' } } } });
    for (const [id, reason, command] of [
      ['words-7', 'is trusted, but not with: network', `foremesh trust ${key} --network --on ada`],
      ['words-8', 'the code is not signed', 'foremesh keys new'],
    ] as const) {
      await until('it cannot be placed', () => mesh.state(id)?.stages[0]?.reason === 'unplaceable');
      const { io } = await cli('why', id);
      assert.ok(io.text.includes(reason) && io.text.includes(command), io.text);
      await mesh.cancel(id);
    }
  });

  it('a program signs: with the key of its connection, with another for one job, or for somebody who has none', async () => {
    const file = join(mesh.directory, 'author', 'keys', 'author.key');
    const client = await connectMesh(mesh.connection, { key: file });
    later(() => client.close());
    const shown = items([1, 2, 3]).map((n) => `${n} ${process.versions.node} ${require('node:os').platform()}`, {
      engine: 'node',
      chunks: 1,
    });
    const prepared = await client.prepare(jobOf(shown), author);
    const first = client.submit(prepared, { id: 'program-1' });
    assert.deepEqual(
      await first.value(),
      [1, 2, 3].map((n) => `${n} ${process.versions.node} linux`),
    );
    const again = client.submit(prepared, { id: 'program-1' });
    assert.equal((await again.result()).phase, 'done', 'it is signed the same, and so is the same job');

    const keyless = await connectMesh(mesh.connection);
    later(() => keyless.close());
    assert.throws(() => keyless.submit(prepared), { code: 'MESH_CODE_UNSIGNED', where: 'stages.map.code' });
    const signed = client.sign(prepared, { name: 'program', version: 7, expiresMs: Date.now() + 3_600_000 });
    assert.equal(((await keyless.submit(signed).value()) as string[]).length, 3);
    // The node counts versions of what the program called it.
    const older = keyless.submit(prepared, { id: 'program-6', signing: { key: file, name: 'program', version: 6 } });
    await until('it cannot be placed', () => mesh.state('program-6')?.stages[0]?.reason === 'unplaceable');
    assert.match(mesh.state('program-6')!.problem!.message, /version 6, and this node has accepted 7/);
    await older.cancel();
    await assert.rejects(connectMesh(mesh.connection, { key: `${file}s` }), { code: 'MESH_KEY_UNKNOWN' });
    await assert.rejects(connectMesh(mesh.connection, { key: join(folder, 'task.ts') }), {
      code: 'MESH_CONFIG_INVALID',
    });
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    assert.throws(() => client.sign(prepared, { key: privateKey }), {
      code: 'MESH_CONFIG_INVALID',
      message: /type ec/,
    });
    assert.throws(() => client.sign(prepared, { expiresMs: Date.now() * 2 }), { code: 'MESH_LIMIT_EXCEEDED' });
  });

  it('trusted no more: what runs of it is stopped, and waits', async () => {
    await writeFile(join(folder, 'task.ts'), 'export default () => { for (;;); }');
    await job(', version: 6, name: words');
    await ok('submit', 'job.yaml', '--id', 'words-9', '--detach');
    await until('it runs', () => mesh.state('words-9')?.stages[0]?.running === 1);
    assert.match(await ok('trust', keyIdOf(key).slice(0, 6), '--remove', '--on', 'ada'), /trusts nobody/);
    await until('it waits', () => mesh.state('words-9')?.stages[0]?.reason === 'unplaceable');
    assert.equal((await cli('trust', key, '--remove', '--on', 'ada')).code, 2);
    await mesh.cancel('words-9');
  });
});
