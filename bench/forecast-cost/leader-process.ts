/**
 * What a leader's forecasts of a fleet cost, in a process with all of a node's code: the engine as `planningPolicy` makes it, fed through the planner's series of each node, and its
 * learned models. Bundled by `bundle.mjs`, started by `forecast-cost.ts`; says a `FleetCost` on its standard output.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { retrainPolicy, type SeriesWindow } from '@foremesh/models';
import { limits, type MetricSample } from '@foremesh/node-runtime/contract';
import { learnedKinds, plannerDefaults } from '@foremesh/node-runtime/core';
import type { ObservedValue } from '../../node-runtime/core/planner/foresight/foresight.ts';
import { gatherShare } from '../../node-runtime/core/planner/foresight/learning.ts';
import { NodeSeries, rangeOf } from '../../node-runtime/core/planner/foresight/node-series.ts';
import { historyStepsAmong, trainingStepsAmong } from '../../node-runtime/core/planner/foresight/watch.ts';
import { holdModel } from '../../node-runtime/shell/foresight/shelf.ts';
import { keepHeapLean } from '../../node-runtime/shell/lean-heap.ts';
import { planningPolicy } from '../../node-runtime/shell/voter/policy.ts';
import type { FleetCost, FleetOrder } from './cost.ts';

const {
  nodes,
  series: seriesPerNode,
  warmRounds,
  measuredRounds,
  seasonSteps,
  model,
  weights,
} = JSON.parse(process.argv[2]!) as FleetOrder;
const { forecastStepMs: stepMs, forecastSteps: steps } = plannerDefaults;
const memoryBytes = 2 ** 32;
const bytesPerSecond = 1e6;
/** What a model reads, as the leader trains it. */
const lags = 48;
/** Refreshes between the first of a new model and those that are measured. */
const settlingRounds = 40;
const everyMs = 100;
/** Steps of nodes are due evenly over a minute: so many are gathered before a model is asked. */
const batchSteps = Math.min(limits.forecastStepsPerTick, Math.ceil(nodes * gatherShare));

// All of the code that a node has loaded.
const { createTrainer } = await import('@foremesh/node-runtime/shell');
keepHeapLean();
const foresight = planningPolicy.createForesight();
/** Of a node with three series the planner's fourth costs nothing here: the engine does not hear of it. */
const isLeftOut = (key: string) => seriesPerNode === 3 && key.endsWith('/network-out');
const nothing = {
  model: 'none',
  observe: () => undefined,
  forecast: () => ({ intervalMs: stepMs, q10: [], q50: [], q90: [] }),
};
const heard: typeof foresight = {
  ...foresight,
  get learningDue() {
    return foresight.learningDue === true;
  },
  open: (identity) => (isLeftOut(identity.key) ? nothing : foresight.open(identity)),
};
const fleet = Array.from({ length: nodes }, (_, node) => {
  const series = new NodeSeries({
    node: `node-${node}`,
    foresight: heard,
    stepMs,
    steps,
    phaseMs: 0,
    trainedMs: () => undefined,
    historySteps: () => historyStepsAmong(nodes),
    trainingSteps: () => trainingStepsAmong(nodes, node / nodes, steps),
    nowMs: 0,
  });
  series.endHistory();
  return series;
});

let mostBytes = 0;
const noteMemory = () => {
  mostBytes = Math.max(mostBytes, process.memoryUsage.rss());
};
/** CPU time of all threads, milliseconds. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

let random = 1;
function next(): number {
  random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
  return random / 2 ** 32;
}
const levels = Float64Array.from({ length: 4 * nodes }, () => 0.8 * next());
let step = 0;

/** A walk within 0 to 1 that is sometimes left for one step; with a season, half of it is that. */
function share(index: number): number {
  levels[index] = Math.min(1, Math.max(0, levels[index]! + 0.06 * (next() - 0.5)));
  const own = Math.min(1, levels[index]! + (next() < 0.05 ? 0.2 : 0));
  if (seasonSteps === undefined) return own;
  return own / 2 + (1 + Math.sin((2 * Math.PI * step) / seasonSteps + index)) / 4;
}

function sampleOf(node: number): MetricSample {
  return {
    ageMs: 0,
    cpuShare: 0,
    cpuBackgroundShare: share(4 * node),
    memoryAvailableBytes: memoryBytes * share(4 * node + 1),
    memoryMeshBytes: 0,
    networkReceivedBytesPerSecond: bytesPerSecond * share(4 * node + 2),
    networkSentBytesPerSecond: bytesPerSecond * share(4 * node + 3),
  };
}

function observe(batch: readonly ObservedValue[]): void {
  foresight.observeAll!(batch.filter(([key]) => !isLeftOut(key)));
}

/** One minute: each node says what it has measured, all of it is learned, in batches as large as a leader's, and all curves are made anew. */
function refresh(): void {
  step += 1;
  for (const [index, series] of fleet.entries()) {
    const metrics = { v: 1 as const, node: `node-${index}`, bootId: 'boot', seq: step, samples: [sampleOf(index)] };
    series.hearMetrics(metrics, memoryBytes, step * stepMs);
  }
  let batch: ObservedValue[] = [];
  let learnable = batchSteps;
  for (const series of fleet) {
    series.takeSteps();
    learnable -= series.learn(learnable, batch);
    if (learnable > 0) continue;
    observe(batch);
    batch = [];
    learnable = batchSteps;
  }
  observe(batch);
  for (const series of fleet) if (series.isDue) series.forecast();
  noteMemory();
}

/** The last fit is the one that tells: on as much as the engine keeps. */
const fit = { learnMs: 0, longestPieceMs: 0 };
function learn(): void {
  if (foresight.learningDue !== true) return;
  Object.assign(fit, { learnMs: 0, longestPieceMs: 0 });
  const pieces = foresight.learn!();
  for (let done = false; !done; ) {
    const begunMs = cpuMs();
    done = pieces.next().done === true;
    const pieceMs = cpuMs() - begunMs;
    fit.learnMs += pieceMs;
    fit.longestPieceMs = Math.max(fit.longestPieceMs, pieceMs);
  }
  noteMemory();
}

/** As `ModelKeeper`: what was trained on all histories, one model per kind, is read and used. */
async function trainModels(): Promise<Pick<FleetCost, 'trainMs' | 'trainingMiB'>> {
  const trainer = createTrainer();
  const begunMs = cpuMs();
  const before = mostBytes;
  mostBytes = 0;
  let trained = false;
  for (const kind of learnedKinds) {
    const histories = fleet.map(
      (series): SeriesWindow => ({ intervalMs: stepMs, range: rangeOf(kind), values: series.history(kind) }),
    );
    const watch = setInterval(noteMemory, everyMs);
    const bytes = await trainer.train(histories, { model, lags, steps }).finally(() => clearInterval(watch));
    const file = `${weights}-${kind}`;
    if (bytes !== undefined) {
      trained = true;
      writeFileSync(file, bytes);
    } else if (!existsSync(file))
      throw new Error(`${nodes} nodes remember too little to train on, and no weights are there`);
    const used = bytes ?? readFileSync(file);
    await holdModel(used);
    foresight.useWeights!(kind, used);
  }
  noteMemory();
  const report = trained
    ? { trainMs: cpuMs() - begunMs, trainingMiB: mostBytes / 2 ** 20 }
    : { trainMs: 0, trainingMiB: 0 };
  mostBytes = Math.max(before, mostBytes);
  return report;
}

for (let round = 0; round < warmRounds; round += 1) {
  refresh();
  learn();
}
const training = await trainModels();
for (let round = 0; round < settlingRounds; round += 1) refresh();
const begunMs = cpuMs();
for (let round = 0; round < measuredRounds; round += 1) refresh();
const refreshMs = (cpuMs() - begunMs) / measuredRounds;
const { rss, heapTotal, arrayBuffers } = process.memoryUsage();
const cost: FleetCost = {
  cpuShare: refreshMs / stepMs + training.trainMs / retrainPolicy.everyMs,
  residentMiB: mostBytes / 2 ** 20,
  residentMiBAtEnd: rss / 2 ** 20,
  heapMiB: heapTotal / 2 ** 20,
  arraysMiB: arrayBuffers / 2 ** 20,
  refreshMs,
  ...fit,
  ...training,
};
process.stdout.write(JSON.stringify(cost));
