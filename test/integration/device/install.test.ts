import assert from 'node:assert/strict';
import { type ExecFileException, execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const bundle = join(import.meta.dirname, '../../../node-runtime/bundle');
const sizeMiBMost = 20;

describe('the device package', function () {
  this.timeout(120_000);
  let scratch: string;
  let installed: string;
  let foremesh: string;

  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'foremesh-device-'));
    const npm = { cwd: scratch, env: { ...process.env, npm_config_cache: join(scratch, 'cache') } };
    const { stdout } = await run('npm', ['pack', '--json', bundle], npm);
    const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
    // Offline, with an empty cache: it can depend on nothing.
    const prefix = join(scratch, 'prefix');
    await run(
      'npm',
      ['install', '--offline', '--no-audit', '--global', '--prefix', prefix, join(scratch, filename)],
      npm,
    );
    installed = join(prefix, 'lib/node_modules/@foremesh/node');
    foremesh = join(prefix, 'bin/foremesh');
  });

  after(() => rm(scratch, { recursive: true, force: true }));

  it(`is under ${sizeMiBMost} MB, without dependencies, scripts or native code`, async () => {
    const manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
    assert.equal(manifest.dependencies, undefined);
    assert.equal(manifest.scripts, undefined);
    const names = await readdir(installed, { recursive: true });
    assert.deepEqual(
      names.filter((name) => name.includes('node_modules') || /\.(node|so|dll|dylib)$/.test(name)),
      [],
    );
    const sizes = await Promise.all(names.map(async (name) => (await stat(join(installed, name))).size));
    const sizeBytes = sizes.reduce((sum, size) => sum + size, 0);
    assert.ok(sizeBytes < sizeMiBMost * 1e6, `${sizeBytes} bytes`);
  });

  it('gives the command, with its licences', async () => {
    const { version } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
    const { stdout } = await run(foremesh, ['--version']);
    assert.equal(stdout.trim(), version);
    const licenses = await readFile(join(installed, 'THIRD-PARTY-LICENSES.txt'), 'utf8');
    for (const name of ['mqtt', 'zod', 'quickjs']) assert.ok(licenses.includes(name), name);
  });

  it('says how to get the broker, which is not in it', async () => {
    const failed = await run(foremesh, ['broker']).then(
      () => assert.fail('it ran'),
      (error: ExecFileException & { stderr: string }) => error,
    );
    assert.match(failed.stderr, /npm install/);
  });
});
