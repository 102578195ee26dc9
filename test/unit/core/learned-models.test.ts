import assert from 'node:assert/strict';
import {
  createForesight,
  decodeWeights,
  encodeWeights,
  type GlobalModel,
  ridgeModel,
  trainRidge,
} from '@foremesh/models';
import { type HistoryPage, limits, type MetricSample, type NodeForecast } from '@foremesh/node-runtime/contract';
import {
  ageOf,
  createLedger,
  historiesOf,
  type Ledger,
  learnedKinds,
  restoreLedger,
  snapshotLedger,
  unneededBlobs,
} from '@foremesh/node-runtime/core';
import { historyStepsAmong, trainingStepsAmong } from '../../../node-runtime/core/planner/foresight/watch.ts';
import { asksOf, Told } from './foreseeing.ts';
import { blobNamed, Leader } from './samples.ts';

const stepMs = 60_000;
const hourMs = 3_600_000;
const past = 400;
/** Turns every 20 minutes: hard to foretell from a few values. */
const valueAt = (at: number) => (Math.floor(at / 20) % 2 === 0 ? 0.2 : 0.7) + ((at * 7919) % 13) / 1_000;
const lags = 48;
const trainedOn = { series: 1, windows: 300 };

const sample: MetricSample = {
  ageMs: 0,
  cpuShare: 0.2,
  cpuBackgroundShare: 0.2,
  memoryAvailableBytes: 1e8,
  memoryMeshBytes: 0,
  networkReceivedBytesPerSecond: 0,
  networkSentBytesPerSecond: 0,
};

function weightsOf(kind: 'cpu'): Uint8Array {
  const values = Float64Array.from({ length: 2_000 }, (_, at) => valueAt(at + 7));
  return encodeWeights(
    trainRidge([{ values, intervalMs: stepMs, range: { low: 0, high: kind === 'cpu' ? 1 : 0 } }], { lags, steps: 30 })!,
  );
}

function createRealForesight() {
  const foresight = createForesight({ steps: 30, learnedKinds });
  return Object.assign(foresight, {
    useWeights: (kind: string, weights: Uint8Array) => foresight.use(kind, ridgeModel(decodeWeights(weights))),
  });
}

function leaderOf(ledger: Ledger): Leader {
  const leader = new Leader({ nodeSilenceMs: 1e12 }, ledger, 1, { createForesight: createRealForesight });
  leader.elect();
  return leader;
}

/** bob joins and tells the last hours; rounds of the leader until all is learned and forecast, or as many as said. */
function hearPast(leader: Leader, rounds: number): NodeForecast[] {
  leader.join('bob');
  const [ask] = asksOf(leader.step({ type: 'tick' }, 250));
  const indices = Array.from({ length: past }, (_, at) => at);
  const flat = (value: number) => indices.map(() => value);
  const page: HistoryPage = {
    agesMs: indices.map((at) => (past - at) * stepMs),
    runs: [],
    values: {
      cpuBackgroundShare: indices.map(valueAt),
      memoryAvailableBytes: flat(1e8),
      memoryMeshBytes: flat(0),
      networkReceivedBytesPerSecond: flat(0),
      networkSentBytesPerSecond: flat(0),
    },
    intervalMs: stepMs,
    diskBytesMost: 1,
    writtenBytes: 1,
  };
  const [older] = asksOf(leader.report('bob', [{ type: 'history', request: ask!.request, page }]));
  const problem = { code: 'MESH_STORAGE_FAILED', message: 'no' };
  leader.report('bob', [{ type: 'request-failed', request: older!.request, problem }]);
  leader.step({ type: 'node-metrics', metrics: { v: 1, node: 'bob', bootId: 'bob-1', seq: 1, samples: [sample] } });
  const forecasts: NodeForecast[] = [];
  for (let round = 0; round < rounds; round += 1)
    for (const effect of leader.step({ type: 'tick' }, 250))
      if (effect.type === 'publish-forecast') forecasts.push(effect.forecast);
  return forecasts;
}

function kept(ledger: Ledger): Ledger {
  const leader = new Leader({}, ledger, 1);
  leader.elect();
  leader.step({ type: 'model-trained', kind: 'cpu', model: 'ridge', weights: blobNamed('a'), trainedOn });
  return ledger;
}

describe('learned models: what a leader makes of them', () => {
  const cpuOf = ({ resources }: NodeForecast) => resources.find(({ resource }) => resource === 'cpu')!;

  it('the newest of each kind is in the log and its snapshots, and its weights are needed', () => {
    const ledger = kept(createLedger());
    const [a, b] = [blobNamed('a'), blobNamed('b')];
    assert.deepEqual(unneededBlobs(ledger, [a, b]), [b]);
    const restored = restoreLedger(JSON.parse(JSON.stringify(snapshotLedger(ledger))));
    assert.deepEqual(restored, ledger);
    assert.deepEqual(
      [...restored.models.values()],
      [{ kind: 'cpu', model: 'ridge', weights: a, trainedOn, ageMs: ledger.ageMs }],
    );
    const leader = new Leader({}, restored, 2);
    leader.elect(2);
    leader.step({ type: 'model-trained', kind: 'cpu', model: 'lstm', weights: b, trainedOn });
    assert.deepEqual(unneededBlobs(restored, [a, b]), [a], 'the one before is needed no more');
    const { models: _, ...older } = snapshotLedger(ledger) as { models: unknown };
    assert.equal(restoreLedger(older).models.size, 0, 'a snapshot of an older release');
  });

  it('its age goes by how long the mesh was led, across leaders', () => {
    const ledger = createLedger();
    const first = new Leader({}, ledger, 1);
    first.elect();
    first.step({ type: 'tick' }, 5 * hourMs);
    first.step({ type: 'model-trained', kind: 'cpu', model: 'ridge', weights: blobNamed('a'), trainedOn });
    assert.equal(ageOf(first.planner) - ledger.models.get('cpu')!.ageMs, 0, 'what passed before is not its age');
    for (let hours = 0; hours < 3; hours += 1) first.step({ type: 'tick' }, hourMs);
    const second = new Leader({}, ledger, 2);
    second.elect(2);
    second.step({ type: 'tick' }, hourMs);
    assert.equal(ageOf(second.planner) - ledger.models.get('cpu')!.ageMs, 4 * hourMs);
  });

  it('gives the past of all its nodes to be learned from, once they have told it', () => {
    const leader = leaderOf(createLedger());
    assert.deepEqual(historiesOf(leader.planner, 'cpu'), []);
    leader.join('bob');
    assert.equal(historiesOf(leader.planner, 'cpu'), undefined, 'bob has yet to tell');
    const other = leaderOf(createLedger());
    hearPast(other, 20);
    const [history, ...more] = historiesOf(other.planner, 'cpu')!;
    assert.equal(more.length, 0);
    assert.deepEqual([history!.intervalMs, history!.range], [stepMs, { low: 0, high: 1 }]);
    // A step is a minute of another phase than the minutes of the history.
    assert.ok(Math.abs(history!.values.length - past) <= 1, `${history!.values.length}`);
    const turns = history!.values.filter((value, at) => at > 0 && Math.abs(value - history!.values[at - 1]!) > 0.15);
    assert.ok(turns.length >= past / 20 - 1, `${turns.length}`);
  });

  it('keeps as much of some nodes as a model needs where of all it would be too much, and none of the others', () => {
    const told = new Told();
    const leader = new Leader({ nodeSilenceMs: 1e12 }, createLedger(), 1, { createForesight: () => told });
    leader.elect();
    const [mesh, minutes] = [3_000, 300];
    const names = Array.from({ length: mesh }, (_, index) => `n${index}`);
    for (const name of names) leader.join(name);
    for (let asked = 0; asked < mesh; asked += limits.forecastHistoriesAtOnce)
      leader.step({ type: 'tick' }, limits.relayWaitMs + 1);
    // The past of 66 minutes, as much as each may tell, is no window. Some are heard, the others rest.
    const heard = names.slice(0, 50);
    for (let minute = 0; minute <= minutes; minute += 1) {
      leader.step({ type: 'tick' }, stepMs);
      for (const node of heard) {
        const metrics = { v: 1 as const, node, bootId: `${node}-1`, seq: minute, samples: [sample] };
        leader.step({ type: 'node-metrics', metrics });
      }
    }
    for (let round = 0; round < 4; round += 1) leader.step({ type: 'tick' });
    assert.equal(told.values.get('n1/cpu')!.length, minutes);
    const lengths = historiesOf(leader.planner, 'cpu')!.map(({ values }) => values.length);
    const expected = (heard.length * limits.forecastHistoryStepsOfAll) / mesh / limits.forecastTrainingSteps;
    assert.ok(
      Math.abs(lengths.length - expected) <= 2,
      `${lengths.length} histories, ${expected} in a mesh this large`,
    );
    assert.deepEqual(new Set(lengths), new Set([minutes]));
  });

  it('keeps no more in all than new leaders ask for, twice at most, and of the same nodes as the mesh grows', () => {
    let before: number[] = [];
    for (const mesh of [10, 800, 900, 1_000, 2_600, 10_000]) {
      const places = Array.from({ length: mesh }, (_, node) => (node * 0.618034) % 1);
      const kept = places.map((place) => trainingStepsAmong(mesh, place, 30));
      const all = kept.reduce((sum, steps) => sum + steps, 0);
      assert.ok(all <= 1.02 * limits.forecastHistoryStepsOfAll, `${all} of ${mesh} nodes`);
      assert.ok(all >= 0.95 * mesh * historyStepsAmong(mesh), `${all} of ${mesh} nodes`);
      assert.ok(kept.every((steps) => steps === 0 || steps >= limits.forecastTrainingSteps));
      for (const [node, steps] of before.entries()) assert.ok(steps > 0 || kept[node] === 0, `${mesh}: ${node}`);
      before = kept;
    }
    assert.equal(trainingStepsAmong(10_000, 0, 240), 8 * 240, 'of farther forecasts a longer past');
  });

  it('asks it about the steps of many nodes together', () => {
    const asked: number[] = [];
    const model: GlobalModel = {
      ...{ model: 'counted', lags: 1, steps: 30 },
      predict: (windows) => {
        asked.push(windows.length);
        const flat = Array<number>(30).fill(0.5);
        return windows.map(() => ({ intervalMs: stepMs, q10: flat, q50: flat, q90: flat }));
      },
    };
    const createCounted = () => {
      const foresight = createForesight({ steps: 30, learnedKinds });
      return Object.assign(foresight, { useWeights: (kind: string) => foresight.use(kind, model) });
    };
    const leader = new Leader({ nodeSilenceMs: 1e12 }, createLedger(), 1, { createForesight: createCounted });
    leader.elect();
    const names = Array.from({ length: 100 }, (_, index) => `n${index}`);
    for (const name of names) leader.join(name);
    leader.step({ type: 'model-read', kind: 'cpu', weights: new Uint8Array() });
    let round = 0;
    const minutes = (count: number) => {
      for (const end = round + count * 240; round < end; round += 1) {
        for (const [index, node] of names.entries()) {
          if ((round + index) % 40 !== 0) continue;
          const metrics = { v: 1 as const, node, bootId: `${node}-1`, seq: round, samples: [sample] };
          leader.step({ type: 'node-metrics', metrics });
        }
        leader.step({ type: 'tick' }, 250);
      }
    };
    minutes(10); // that no history comes is known by then
    asked.length = 0;
    minutes(5);
    const windows = asked.reduce((sum, count) => sum + count, 0);
    assert.ok(Math.abs(windows - 5 * names.length) <= names.length, `${windows} windows`);
    assert.ok(asked.length <= 5 * 16, `${asked.length} calls`);
  });

  it('waits a moment for the model that the log names, compares it on the past, and names it where it is used', () => {
    const whyAfter = (ledMs: number) => {
      const ledger = kept(createLedger());
      ledger.ageMs += ledMs;
      const leader = leaderOf(ledger);
      assert.deepEqual(hearPast(leader, 20), [], 'it may come at any moment');
      leader.step({ type: 'model-read', kind: 'cpu', weights: weightsOf('cpu') });
      const forecasts: NodeForecast[] = [];
      for (let round = 0; round < 40; round += 1)
        for (const effect of leader.step({ type: 'tick' }, 250))
          if (effect.type === 'publish-forecast') forecasts.push(effect.forecast);
      return cpuOf(forecasts.at(-1)!).why!;
    };
    const why = whyAfter(past * stepMs);
    assert.equal(why.model, 'ridge');
    assert.match(why.text!, /\bridge \d+ %/);
    assert.doesNotMatch(JSON.stringify(whyAfter(hourMs)), /ridge/, 'it has seen all of this past but the last hour');

    const alone = leaderOf(kept(createLedger()));
    const without = hearPast(alone, 80);
    assert.ok(without.length > 0, 'it does not wait for ever');
    assert.ok(!JSON.stringify(cpuOf(without.at(-1)!).why).includes('ridge'));
  });
});
