import assert from 'node:assert/strict';
import { runCli } from '@foremesh/node-runtime/cli';
import { formatConnection, type ProfileRow } from '@foremesh/node-runtime/contract';
import { FakeIo } from '../../unit/cli/fake-io.ts';
import { jobOf, Mesh } from './mesh.ts';
import { endAll, until } from './support.ts';

describe('foremesh profiles', () => {
  let mesh: Mesh;
  before(async () => {
    mesh = await Mesh.start();
  });
  after(endAll);

  async function cli(...words: string[]): Promise<FakeIo> {
    const io = new FakeIo(mesh.directory, { FOREMESH_CONNECTION: formatConnection(mesh.connection) });
    assert.equal(await runCli(words, io), 0, io.err);
    return io;
  }
  const rowsOf = (io: FakeIo) => io.documents[0]!.profiles as ProfileRow[];

  const busy =
    'let sum = 0; for await (const line of task.input) for (let i = 0; i < 50_000; i++) sum += i % 7; return sum;';
  const lines = (count: number) => `${'x'.repeat(9)}\n`.repeat(count);
  const counting = (count: number) => ({
    stages: {
      count: { ...jobOf(busy).stages.main!, input: { inline: lines(count) }, profile: 'data-analysis' },
    },
  });

  it('are empty at first, and say why', async () => {
    const io = await cli('profiles');
    assert.match(io.err, /no task of this account has finished yet/);
    assert.equal(io.text, '');
    assert.deepEqual(rowsOf(await cli('profiles', '--json')), []);
  });

  it('show after some jobs what the next one will take, by its code and by its category', async () => {
    for (const [number, count] of [4, 8, 16, 32, 8, 16].entries()) {
      await mesh.submit(`count-${number}`, counting(count));
      assert.equal((await mesh.result(`count-${number}`)).phase, 'done');
    }
    const [own, ofCategory, ofAny] = rowsOf(await cli('profiles', '--json')) as [ProfileRow, ProfileRow, ProfileRow];
    const { workSeconds, peakMemoryBytes, outputBytes, basis, evidence } = own.estimate;
    assert.deepEqual([own.engine, own.category, own.stage, basis], ['js', 'data-analysis', 'count', 'own']);
    assert.deepEqual(evidence, { tasks: 6, categoryCodes: 0, codes: 0 });
    assert.ok(own.inputBytes > 100 && own.inputBytes < 150, `${own.inputBytes}`);
    assert.ok(workSeconds!.q10 > 0 && workSeconds!.q50 < 60 && peakMemoryBytes!.q50 > 50_000 && outputBytes!.q50 < 20);
    assert.deepEqual([ofCategory.code, ofCategory.estimate.basis, ofAny.category], [undefined, 'category', undefined]);

    const { text } = await cli('profiles', own.code!.slice(0, 14));
    assert.match(
      text,
      /^CODE {5,}STAGE +CATEGORY +TASKS +ENGINE +INPUT +WORK +FROM +TO +PER MB +MEMORY +OUTPUT +BASIS\n/,
    );
    assert.match(
      text,
      new RegExp(`\\n${own.code!.slice(7, 15)} +count +data-analysis +6 +js .* by 6 tasks of this code\\n$`),
    );
    assert.match(
      (await cli('profiles', 'data-analysis')).text,
      /code that nobody has seen:\nCATEGORY .*\ndata-analysis +js/,
    );
    assert.match((await cli('profiles', 'nothing')).err, /no task of "nothing" of this account/);
  });

  it('say with `why` what a task that waits will take, and how that is known', async () => {
    await mesh.submit('long', jobOf('for (;;) await null;', { priority: 9 }));
    await until('it runs', () => mesh.state('long')?.stages[0]?.running === 1);
    await mesh.submit('next', counting(12));
    await until('it waits', () => mesh.state('next')?.stages[0]?.reason === 'queued');
    const { text } = await cli('why', 'next');
    assert.match(
      text,
      /\n {2}it takes about \S+ m?s of a Raspberry Pi 4's core \(80 %: .* to .*\), \S+ [kM]B of memory; by 6 tasks of this code\n/,
    );
    assert.match((await cli('why', 'long')).text, /by 1 other code, of any category\n/);
    await mesh.cancel('long');
    await mesh.result('next');
  });
});
