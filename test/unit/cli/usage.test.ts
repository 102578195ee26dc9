import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exitCodes, runCli } from '@foremesh/node-runtime/cli';
import { errorCodes } from '@foremesh/node-runtime/contract';
import { exitCodeOf } from '../../../node-runtime/cli/exit-codes.ts';
import { loadOptional } from '../../../node-runtime/cli/extensions.ts';
import { ownCommands } from '../../../node-runtime/cli/program.ts';
import { FakeIo } from './fake-io.ts';

describe('cli: usage and exit codes', () => {
  let folder: string;
  let io: FakeIo;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'foremesh-usage-'));
  });
  after(() => rm(folder, { recursive: true }));
  beforeEach(() => {
    io = new FakeIo(folder);
  });
  const run = (...argv: string[]) => runCli(argv, io);

  it('has help with examples for every command', async () => {
    for (const { name } of ownCommands) {
      io.out = Buffer.alloc(0);
      assert.equal(await run(name, '--help'), 0);
      assert.match(io.text, /^Usage: foremesh /);
      assert.match(io.text, /Examples:\n.*foremesh/, name);
    }
  });

  it('lists every exit code and command in its help', async () => {
    assert.equal(await run('--help'), 0);
    for (const { code, meaning } of Object.values(exitCodes))
      assert.ok(io.text.includes(`  ${String(code).padEnd(5)}${meaning}\n`));
    for (const { name, summary } of ownCommands)
      assert.match(io.text.replace(/\s+/g, ' '), new RegExp(` ${name} .*${summary.slice(0, 20)}`));
    assert.equal(await run(), 2);
    assert.match(io.err, /^Usage: foremesh/);
  });

  it('suggests what was meant', async () => {
    assert.equal(await run('submti', 'job.yaml'), 2);
    assert.equal(await run('submit', 'job.yaml', '--detatch'), 2);
    assert.equal(await run('submit'), 2);
    assert.equal(
      io.err,
      `unknown command 'submti'; did you mean submit? (MESH_USAGE)
  foremesh --help
unknown option '--detatch'; did you mean --detach? (MESH_USAGE)
  foremesh submit --help
missing required argument 'file' (MESH_USAGE)
  foremesh submit --help
`,
    );
  });

  it('says how long a mesh may wait before it changes its voters', async () => {
    assert.equal(await run('voters', '--settle', '721h'), 2);
    assert.match(io.err, /at most 720 h/);
    assert.equal(await run('voters', '--replace-after', 'soon'), 2);
    assert.match(io.err, /30s, 5m or 2h/);
  });

  it('wants to know whose quota, and how much', async () => {
    for (const [words, said] of [
      [['--jobs', '3'], /whose quota\?/],
      [['ann', '--all'], /--all stands alone/],
      [['ann', '--jobs', 'many'], /whole number, 0 or more; or "default"/],
      [['ann', '--tasks', '-1'], /whole number/],
      [['ann', '--bytes', '2'], /it looks like 500MB/],
    ] as const) {
      io = new FakeIo(folder);
      assert.equal(await run('quota', ...words), 2);
      assert.match(io.err, said);
    }
  });

  it('says as JSON what is wrong when told to', async () => {
    assert.equal(await run('job', 'a.b', '--json'), 2);
    const { error } = JSON.parse(io.err) as { error: { code: string } };
    assert.equal(error.code, 'MESH_TOPIC_INVALID');
  });

  it('says which package an absent command comes with', async () => {
    assert.equal(await run('bridge', '--port', '7'), 2);
    assert.match(
      io.err,
      /`foremesh bridge` comes with @foremesh\/firmware-bridge.*\n {2}npm install @foremesh\/firmware-bridge\n$/,
    );
    assert.equal(await loadOptional('@foremesh/none/commands'), undefined);
  });

  it('finds its mesh: the option, the environment, the home', async () => {
    assert.equal(await run('nodes'), 2);
    assert.match(io.err, /no mesh is known here \(MESH_CONFIG_INVALID\)\n {2}`foremesh init` founds one/);
    const nowhere = 'foremesh://owner:none@127.0.0.1:1/away';
    for (const [argv, environment] of [
      [['--connection', nowhere], {}],
      [[], { FOREMESH_CONNECTION: nowhere }],
      [['--home', folder], { FOREMESH_HOME: '/nonexistent' }],
    ] as const) {
      await writeFile(join(folder, 'connection'), `${nowhere}\n`);
      const each = new FakeIo(folder, environment);
      assert.equal(await runCli(['nodes', ...argv], each), 3, each.err);
      assert.match(each.err, /cannot reach mqtt:\/\/127\.0\.0\.1:1/);
      assert.ok(!each.err.includes('none'), 'the password stays where it is');
    }
  });

  it('has an exit code for every error code', () => {
    const known = new Set<number>(Object.values(exitCodes).map(({ code }) => code));
    for (const code of Object.keys(errorCodes)) assert.ok(known.has(exitCodeOf(code)), code);
    assert.deepEqual(
      ['MESH_UNREACHABLE', 'MESH_NO_LEADER', 'MESH_USAGE', 'MESH_JOB_CANCELLED', 'MESH_STORAGE_FAILED', 'INTERNAL'].map(
        exitCodeOf,
      ),
      [3, 3, 2, 4, 1, 1],
    );
  });
});
