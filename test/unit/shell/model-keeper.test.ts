import assert from 'node:assert/strict';
import { decodeWeights, encodeWeights, type SeriesWindow, trainRidge } from '@foremesh/models';
import { MeshError } from '@foremesh/node-runtime/contract';
import { createLedger, type Ledger, type VoterEvent } from '@foremesh/node-runtime/core';
import { pino } from 'pino';
import { type LearningOptions, ModelKeeper } from '../../../node-runtime/shell/foresight/model-keeper.ts';
import type { Trainer, TrainingOptions } from '../../../node-runtime/shell/foresight/trainer.ts';
import { planningPolicy } from '../../../node-runtime/shell/voter/policy.ts';
import { until } from '../../support/until.ts';
import { Leader } from '../core/samples.ts';
import { FakeBlobs } from './fake-blobs.ts';
import { endAll, later } from './scratch.ts';

const stepMs = 60_000;
/** Every tenth minute is busy. */
const pulses = (minute: number) => (minute % 10 === 0 ? 0.9 : 0.1);

interface Training {
  readonly histories: readonly SeriesWindow[];
  readonly options: TrainingOptions;
}

/** A leader with as many minutes of one node, and a keeper whose trainer is the test's. */
function keeperOf(
  minutes: number,
  {
    blobs = new FakeBlobs(),
    ledger = createLedger(),
    learning = {},
  }: { blobs?: FakeBlobs; ledger?: Ledger; learning?: LearningOptions } = {},
  answer: (training: Training) => Promise<Uint8Array | undefined> = async ({ histories, options }) =>
    encodeWeights(trainRidge(histories, { lags: options.lags!, steps: options.steps! })!),
) {
  const leader = new Leader({ nodeSilenceMs: 1e12 }, ledger, 1, planningPolicy);
  leader.elect();
  leader.join('bob');
  const asks = leader.step({ type: 'tick' }, 250);
  const ask = asks.flatMap((effect) =>
    effect.type === 'send' && effect.message.type === 'history-request' ? [effect.message] : [],
  )[0]!;
  leader.report('bob', [
    { type: 'request-failed', request: ask.request, problem: { code: 'MESH_STORAGE_FAILED', message: 'no' } },
  ]);
  let seq = 0;
  /** So many more minutes of what bob measures. */
  const pass = (count: number, shareAt: (minute: number) => number) => {
    for (let minute = 0; minute < count; minute += 1) {
      const share = shareAt(minute);
      const samples = [
        {
          ageMs: 0,
          cpuShare: share,
          cpuBackgroundShare: share,
          memoryAvailableBytes: 1e8,
          memoryMeshBytes: 0,
          networkReceivedBytesPerSecond: 0,
          networkSentBytesPerSecond: 0,
        },
      ];
      seq += 1;
      leader.step({ type: 'node-metrics', metrics: { v: 1, node: 'bob', bootId: 'bob-1', seq, samples } }, stepMs);
      if (minute % 20 === 0) leader.step({ type: 'tick' });
    }
  };
  pass(minutes + 1, pulses);
  // Models that the log names are waited for, but not for ever.
  leader.step({ type: 'tick' }, 30_000);
  for (let round = 0; round < minutes / 50 + 2; round += 1) leader.step({ type: 'tick' });
  const trainings: Training[] = [];
  const fed: VoterEvent[] = [];
  const told: string[] = [];
  const logged: { readonly kind?: string; readonly msg: string }[] = [];
  let asked = 0;
  const trainer: Trainer = {
    train(histories, options = {}) {
      trainings.push({ histories, options });
      return answer({ histories, options });
    },
  };
  const keeper = new ModelKeeper({
    voter: () => {
      asked += 1;
      return {
        planner: leader.planner,
        feed: (event) => {
          fed.push(event);
          leader.step(event as Parameters<Leader['step']>[0]);
        },
      };
    },
    blobs: blobs.client,
    tell: ({ kind, text }) => told.push(`${kind} ${text}`),
    log: pino({}, { write: (line) => void logged.push(JSON.parse(line)) }),
    learning: { lookEveryMs: 5, windowsLeast: 50, lags: 12, ...learning },
    trainer,
  });
  later(() => keeper.close());
  /** It has looked around several times more. */
  const looks = async () => {
    const before = asked;
    await until('it looks', () => asked > before + 20);
  };
  return { leader, blobs, keeper, trainings, fed, told, logged, looks, pass };
}

describe('ModelKeeper', () => {
  afterEach(endAll);
  const inLog = (ledger: Ledger, kinds: number) => until('the log names models', () => ledger.models.size === kinds);

  it('trains one model per kind once there is enough to learn from, puts it in a holder, and uses what the log names', async () => {
    const { leader, keeper, trainings, fed, blobs, told, looks } = keeperOf(150);
    keeper.leads(true);
    await until('both are in use', () => fed.filter(({ type }) => type === 'model-read').length === 2);
    assert.deepEqual([...leader.planner.ledger.models.keys()], ['cpu', 'memory']);
    const { weights, model, trainedOn } = leader.planner.ledger.models.get('cpu')!;
    assert.equal(model, 'ridge');
    assert.deepEqual(decodeWeights(blobs.held.get(weights.blob)!).trainedOn, trainedOn);
    assert.deepEqual(
      trainings.map(({ options: { model, lags, steps } }) => [model, lags, steps]),
      [
        ['lstm', 12, 30],
        ['lstm', 12, 30],
      ],
    );
    assert.match(told[0]!, /^model-training cpu: .* on 1\d\d windows \(never-trained\)$/);
    const looked = blobs.asked.length;
    await looks();
    assert.equal(trainings.length, 2, 'not again within the pause');
    assert.equal(blobs.asked.length, looked, 'what is in use is not loaded again');
  });

  it('waits while there is too little, and trains the ridge map where the LSTM cannot be', async () => {
    const few = keeperOf(60);
    few.keeper.leads(true);
    await few.looks();
    assert.equal(few.trainings.length, 0);

    const { leader, keeper, trainings, logged } = keeperOf(150, {}, async ({ histories, options }) => {
      if (options.model === 'lstm')
        throw new MeshError('MESH_NOT_INSTALLED', 'no TensorFlow here', { mend: 'npm install it' });
      return encodeWeights(trainRidge(histories, { lags: options.lags!, steps: options.steps! })!);
    });
    keeper.leads(true);
    await inLog(leader.planner.ledger, 2);
    assert.deepEqual(
      trainings.map(({ options }) => options.model),
      ['lstm', 'ridge', 'ridge'],
      'it asks for it once',
    );
    assert.match(
      logged.map(({ msg }) => msg).join('\n'),
      /^ridge is trained instead: .*no TensorFlow here.*npm install/m,
      'and says how to get it',
    );
  });

  it('trains the ridge map on what is too short for the LSTM', async () => {
    const { leader, keeper, trainings } = keeperOf(150, {}, async ({ histories, options }) =>
      options.model === 'lstm'
        ? undefined
        : encodeWeights(trainRidge(histories, { lags: options.lags!, steps: options.steps! })!),
    );
    keeper.leads(true);
    await inLog(leader.planner.ledger, 2);
    const models = trainings.map(({ options }) => options.model);
    assert.deepEqual(models, ['lstm', 'ridge', 'lstm', 'ridge']);
    assert.equal(leader.planner.ledger.models.get('cpu')!.model, 'ridge');
  });

  it('a new leader loads what the log names, and does not train anew', async () => {
    const first = keeperOf(150);
    first.keeper.leads(true);
    await inLog(first.leader.planner.ledger, 2);
    first.keeper.leads(false);
    const next = keeperOf(150, { blobs: first.blobs, ledger: first.leader.planner.ledger });
    next.keeper.leads(true);
    await until('both are in use', () => next.fed.length === 2);
    await next.looks();
    assert.deepEqual(
      next.fed.map(({ type }) => type),
      ['model-read', 'model-read'],
    );
    assert.equal(next.trainings.length, 0);
  });

  it('loads them as soon as its ledger is as new as any, and none before', async () => {
    const first = keeperOf(150);
    first.keeper.leads(true);
    await inLog(first.leader.planner.ledger, 2);
    first.keeper.leads(false);
    const { ledger } = first.leader.planner;
    const { leader, keeper, fed, blobs } = keeperOf(0, {
      blobs: first.blobs,
      ledger,
      learning: { lookEveryMs: 600_000 },
    });
    leader.step({ type: 'deposed' });
    const before = blobs.asked.length;
    keeper.leads(true);
    assert.equal(blobs.asked.length, before);
    leader.elect(2);
    await until('both are in use', () => fed.length === 2);
  });

  it('trains anew on schedule, and when the weights are lost', async () => {
    const first = keeperOf(150);
    first.keeper.leads(true);
    await inLog(first.leader.planner.ledger, 2);
    first.keeper.leads(false);
    const { ledger } = first.leader.planner;
    const late = keeperOf(150, { blobs: first.blobs, ledger, learning: { everyMs: 1_000 } });
    late.keeper.leads(true);
    await until('it is trained anew', () => late.trainings.length === 2);
    assert.match(late.told[0]!, /\(schedule\)/);
    late.keeper.leads(false);
    const lost = keeperOf(150, { blobs: new FakeBlobs(), ledger });
    lost.keeper.leads(true);
    await until('it is trained anew', () => lost.trainings.length === 2);
    assert.ok(
      lost.told.some((line) => /^model-failed cpu: .*MESH_BLOB_MISSING/.test(line)),
      lost.told.join('\n'),
    );
  });

  it('trains anew when its score has fallen beside its challengers, and not before', async () => {
    const learning = { pauseMs: 0, scoredLeast: 50, growth: 100 };
    const { keeper, trainings, told, logged, looks, pass } = keeperOf(150, { learning });
    keeper.leads(true);
    await until('both are in use', () => logged.filter(({ msg }) => msg === 'a learned model is in use').length === 2);
    pass(100, pulses);
    await looks();
    assert.equal(trainings.length, 2);
    pass(100, () => 0.9);
    await until('one is trained anew', () => trainings.length > 2);
    const training = told.filter((line) => line.startsWith('model-training'));
    assert.match(training[2]!, /^model-training cpu: .* \(score-fell\)$/);
  });

  it('notes how a model does as soon as it can be said, also while it may not be trained again', async () => {
    const { keeper, logged, looks, pass } = keeperOf(150);
    const compared = () =>
      logged.filter(({ msg }) => msg === 'a learned model has been compared').map(({ kind }) => kind);
    keeper.leads(true);
    await until('both are in use', () => logged.filter(({ msg }) => msg === 'a learned model is in use').length === 2);
    await looks();
    assert.deepEqual(compared(), []);
    pass(250, pulses);
    await until('one is compared', () => compared().length > 0);
    await looks();
    assert.deepEqual(compared(), ['cpu'], 'once, and beside memory that never changes there is nothing to be compared');
  });

  it('ends the training with its leadership', async () => {
    const { leader, keeper, trainings, fed, told } = keeperOf(
      150,
      {},
      ({ options: { signal } }) =>
        new Promise((_, reject) => signal!.addEventListener('abort', () => reject(signal!.reason))),
    );
    keeper.leads(true);
    await until('it trains', () => trainings.length === 1);
    keeper.leads(false);
    assert.ok(trainings[0]!.options.signal!.aborted);
    keeper.leads(true);
    await until('it trains for the next leadership', () => trainings.length === 2);
    assert.deepEqual([fed.length, leader.planner.ledger.models.size], [0, 0]);
    assert.deepEqual(
      told.filter((line) => line.startsWith('model-failed')),
      [],
    );
  });

  it('tells that a training failed, and tries again after the pause', async () => {
    let fails = true;
    const { leader, keeper, trainings, told } = keeperOf(
      150,
      { learning: { pauseMs: 20 } },
      async ({ histories, options }) => {
        if (fails) throw new RangeError('what a fault');
        return encodeWeights(trainRidge(histories, { lags: options.lags!, steps: options.steps! })!);
      },
    );
    keeper.leads(true);
    await until('it has failed', () => told.some((line) => /^model-failed cpu: RangeError: what a fault$/.test(line)));
    fails = false;
    await inLog(leader.planner.ledger, 2);
    assert.ok(trainings.length >= 3);
  });
});
