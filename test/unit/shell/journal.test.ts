import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeWeights, trainRidge } from '@foremesh/models';
import { pino } from 'pino';
import { encodeCbor } from '../../../node-runtime/contract/index.ts';
import { raftProfiles, type VoterEffect, type VoterEvent } from '../../../node-runtime/core/index.ts';
import { holdModel } from '../../../node-runtime/shell/foresight/shelf.ts';
import { encodeFrame, readFrames } from '../../../node-runtime/shell/frames.ts';
import { replayJournal } from '../../../node-runtime/shell/voter/journal.ts';
import { planningPolicy, planningPolicyOf } from '../../../node-runtime/shell/voter/policy.ts';
import { Voter } from '../../../node-runtime/shell/voter/voter.ts';
import { until } from '../../support/until.ts';
import { endAll, meshError, scratch } from './scratch.ts';

const code = { engine: 'js' as const, blob: `sha256-${'0'.repeat(64)}`, sizeBytes: 1 };
const limits = { memoryBytes: 1, cpuMs: 1, wallMs: 1, outputBytes: 1 };
const stage = { stage: 'main', code, needs: [], priority: 5, retries: 1, limits, labels: [], sink: true };

async function record(
  directory: string,
  feed: (voter: Voter) => Promise<void>,
  policy = planningPolicy,
): Promise<VoterEffect[]> {
  const effects: VoterEffect[] = [];
  const voter = await Voter.open({
    id: 'ada',
    bootId: 'boot',
    founders: ['ada'],
    holders: ['broker'],
    profile: raftProfiles.lan,
    publicKey: 'A'.repeat(43),
    policy,
    logDirectory: await scratch(),
    journalDirectory: directory,
    log: pino({ level: 'silent' }),
    perform: (effect) => effects.push(effect),
    sendRaft: () => undefined,
    fetchSnapshot: () => undefined,
    onFatal: (error) => assert.fail(error),
  });
  await voter.start();
  await feed(voter);
  await voter.close();
  return effects;
}

const submitted: VoterEvent = {
  type: 'submitted',
  account: 'owner',
  job: 'job',
  specHash: 'hash',
  plan: { stages: [stage] },
};

async function oneJob(voter: Voter): Promise<void> {
  voter.feed({ type: 'connected' });
  voter.feed(submitted);
  await until('it is in the log', () => voter.planner.ledger.jobs.has('owner/job'));
}

describe('Journal', () => {
  afterEach(endAll);

  it('says whether its node looked ahead', async () => {
    for (const name of ['reactive', 'predictive'] as const) {
      const directory = await scratch();
      await record(directory, oneJob, planningPolicyOf(name));
      const file = join(directory, 'ada-boot.journal');
      const [beginning] = readFrames(await readFile(file)).values as [{ start: { looksAhead: boolean } }];
      assert.equal(beginning.start.looksAhead, name === 'predictive');
      assert.equal((await replayJournal(file, planningPolicy)).differsAt, undefined);
    }
  });

  it('is lived through again with the same effects', async () => {
    const directory = await scratch();
    const effects = await record(directory, oneJob);
    assert.ok(effects.some(({ type }) => type === 'publish-state'));
    const replayed = await replayJournal(join(directory, 'ada-boot.journal'), planningPolicy);
    assert.equal(replayed.differsAt, undefined);
    assert.equal(replayed.torn, false);
    assert.ok(replayed.events >= 5 && replayed.effects > effects.length, JSON.stringify(replayed));
  });

  it('holds the learned models that were read, so that the same is foreseen again', async () => {
    const directory = await scratch();
    const values = Float64Array.from({ length: 200 }, (_, at) => 0.5 + 0.3 * Math.sin(at));
    const history = { values, intervalMs: 60_000, range: { low: 0, high: 1 } };
    const weights = encodeWeights(trainRidge([history], { lags: 12, steps: 30 })!);
    await record(directory, async (voter) => {
      await oneJob(voter);
      assert.throws(() => voter.feed({ type: 'model-read', kind: 'cpu', weights }), /not made ready/);
      const release = await holdModel(weights);
      voter.feed({ type: 'model-read', kind: 'cpu', weights });
      release();
    });
    const replayed = await replayJournal(join(directory, 'ada-boot.journal'), planningPolicy);
    assert.equal(replayed.differsAt, undefined);
  });

  it('names the first event that is answered otherwise', async () => {
    const directory = await scratch();
    await record(directory, oneJob);
    const file = join(directory, 'ada-boot.journal');
    // Another machine: one that was told of another job. The frames have checksums, so it is made, not damaged.
    const values = readFrames(await readFile(file)).values as { event?: VoterEvent }[];
    const at = values.findIndex(({ event }) => event?.type === 'submitted');
    values[at] = { ...values[at], event: { ...submitted, specHash: 'another' } };
    await writeFile(file, Buffer.concat(values.map(encodeFrame)));
    const { differsAt } = await replayJournal(file, planningPolicy);
    assert.deepEqual(differsAt, { event: at, type: 'submitted' });
  });

  it('says where it ends when its process was killed, and refuses what is none', async () => {
    const directory = await scratch();
    await record(directory, oneJob);
    const [name] = await readdir(directory);
    const file = join(directory, name!);
    const whole = await readFile(file);
    await writeFile(file, whole.subarray(0, whole.length - 3));
    assert.equal((await replayJournal(file, planningPolicy)).torn, true);
    await writeFile(file, encodeCbor('no journal'));
    await assert.rejects(replayJournal(file, planningPolicy), meshError('MESH_JOURNAL_INVALID', file));
    await assert.rejects(replayJournal(`${file}.gone`, planningPolicy), meshError('MESH_STORAGE_FAILED', file));
  });
});
