import type { LeavingHazards } from '@foremesh/models';
import {
  type ForecastResource,
  type ForecastWhy,
  type HistoryResolution,
  limits,
  type NodeForecast,
  type OutboxMessage,
  type ResourceForecast,
} from '../../../contract/index.ts';
import type { PlannerEffect } from '../events.ts';
import { ageOf } from '../retention.ts';
import type { NodeView, PlannerPolicy, PlannerState } from '../state.ts';
import { availableOf, bandsOf } from './availability.ts';
import type { Foresight, Reasons } from './foresight.ts';
import { type Backlog, learnRound } from './learning.ts';
import { NodeSeries, type Outlook, seriesKey } from './node-series.ts';
import { Presence } from './presence.ts';
import { measured, resources } from './steps.ts';

interface Asked {
  readonly request: number;
  readonly resolution: HistoryResolution;
  /** The earliest moment that is asked about, and until when its answer is waited for, by our monotonic clock. */
  readonly fromMs: number;
  readonly untilMs: number;
}

/** What a leader has for its forecasts beside the series of each node. */
export interface ForesightState {
  readonly foresight: Foresight;
  /** Series that were ever opened: each begins its steps at another time. */
  nodes: number;
  /** Whose history was asked for, and up to when it is waited for. */
  readonly asked: Map<string, Asked>;
  requests: number;
  /** When the learned models in use were trained, by our monotonic clock, or later; and until when those are waited for that the log names. */
  readonly learned: Map<ForecastResource, number>;
  learnedUntilMs?: number;
  /** With a learned model: until when steps are gathered that it is to be asked about together. */
  gatherUntilMs: number;
  backlog?: Backlog;
  /** What is being learned on all series together. */
  learning?: Iterator<void>;
  readonly leaving?: LeavingHazards;
  /** Our wall clock, without its jumps back: nodes come and go by the time of day. */
  wallMs: number;
}

export function createForesightState({ createForesight, createLeaving }: PlannerPolicy): ForesightState {
  const leaving = createLeaving?.();
  const state = {
    foresight: createForesight(),
    nodes: 0,
    asked: new Map(),
    requests: 0,
    learned: new Map<ForecastResource, number>(),
    gatherUntilMs: 0,
    wallMs: 0,
  };
  return leaving === undefined ? state : { ...state, leaving };
}

/** Spreads any number of nodes evenly over a step (Knuth, The Art of Computer Programming 3, 6.4: multiples of the golden section). */
const goldenSection = (Math.sqrt(5) - 1) / 2;

export function openSeries(state: PlannerState, node: string): Pick<NodeView, 'series' | 'leaving'> {
  const { config, foresight } = state;
  foresight.nodes += 1;
  const hazard = foresight.leaving?.open();
  const place = (foresight.nodes * goldenSection) % 1;
  const series = new NodeSeries({
    node,
    foresight: foresight.foresight,
    stepMs: config.forecastStepMs,
    steps: config.forecastSteps,
    nowMs: state.nowMs,
    trainedMs: (kind) => state.foresight.learned.get(kind),
    phaseMs: place * config.forecastStepMs,
    historySteps: () => historyStepsAmong(state.nodes.size),
    trainingSteps: () => trainingStepsAmong(state.nodes.size, place, config.forecastSteps),
  });
  return hazard === undefined ? { series } : { series, leaving: new Presence(hazard) };
}

/** How many steps of its past the forecasts of each of so many nodes begin with. */
export function historyStepsAmong(nodes: number): number {
  return Math.min(limits.forecastHistorySteps, Math.floor(limits.forecastHistoryStepsOfAll / Math.max(1, nodes)));
}

/** Of a shorter past the LSTM has nothing left to be looked at with: it holds back 15 %, in which a whole forecast has to lie. */
const forecastsTrainedOn = 8;

/**
 * How many steps of what was learned of a node are kept to train models on. Where all nodes would have too few, some of them have enough and the others none: those whose `place`,
 * from 0 to 1 and spread evenly, comes first, so that they stay the same ones as the mesh grows.
 */
export function trainingStepsAmong(nodes: number, place: number, forecastSteps: number): number {
  const steps = historyStepsAmong(nodes);
  const least = Math.max(limits.forecastTrainingSteps, forecastsTrainedOn * forecastSteps);
  return place * least < steps ? Math.max(least, steps) : 0;
}

/** A node came (back): what is said twice counts once. */
export function noteComing(state: PlannerState, { leaving }: NodeView): void {
  leaving?.observe('came', wallMsOf(state));
}

/** A node has left, and its last forecast, which stays, says no longer how likely that is. */
export function noteLeaving(state: PlannerState, node: NodeView, effects: PlannerEffect[]): void {
  const { leaving, series } = node;
  leaving?.observe('left', wallMsOf(state));
  if (leaving === undefined || series.outlook === undefined) return;
  effects.push({ type: 'publish-forecast', forecast: forecastOf(state, node, series.outlook) });
}

function wallMsOf({ foresight, wallMs }: PlannerState): number {
  foresight.wallMs = Math.max(foresight.wallMs, wallMs);
  return foresight.wallMs;
}

/** A leader's round: asks for histories, learns what is complete, and forecasts, of each as much as one round may take. */
export function watchForesight(state: PlannerState, effects: PlannerEffect[]): void {
  if (!state.connected) return; // nothing is heard
  askForHistories(state, effects);
  if (awaitsModels(state)) return;
  learnRound(state);
  const { meanwhile } = state.foresight.foresight;
  let forecasts: number = limits.forecastNodesPerTick;
  let forecastsMeanwhile: number = meanwhile === undefined ? 0 : limits.forecastNodesMeanwhilePerTick;
  const publish = (node: NodeView, outlook: Outlook) =>
    effects.push({ type: 'publish-forecast', forecast: forecastOf(state, node, outlook) });
  for (const node of state.nodes.values()) {
    const { online, series } = node;
    if (online && forecasts > 0 && series.isDue) {
      forecasts -= 1;
      publish(node, series.forecast());
    } else if (online && forecastsMeanwhile > 0 && series.isDueMeanwhile) {
      forecastsMeanwhile -= 1;
      publish(node, series.forecastMeanwhile(meanwhile!));
    }
  }
}

/** A model that the log names is there before the past is learned: it is compared on it, and need not begin anew. */
function awaitsModels({ foresight, ledger, nowMs }: PlannerState): boolean {
  if (foresight.foresight.useWeights === undefined) return false;
  foresight.learnedUntilMs ??= nowMs + limits.relayWaitMs;
  if (nowMs >= foresight.learnedUntilMs) return false;
  return [...ledger.models.keys()].some((kind) => !foresight.learned.has(kind));
}

/** The weights of the model of a kind are there. */
export function useModel(state: PlannerState, kind: ForecastResource, weights: Uint8Array): void {
  const { foresight, ledger, nowMs } = state;
  // While nobody leads the log does not age: it may have been earlier, never later.
  const ageMs = ageOf(state) - (ledger.models.get(kind)?.ageMs ?? ledger.ageMs);
  foresight.learned.set(kind, nowMs - ageMs);
  foresight.foresight.useWeights?.(kind, weights);
}

function askForHistories(state: PlannerState, effects: PlannerEffect[]): void {
  const { asked } = state.foresight;
  for (const [id, { untilMs }] of asked) {
    const node = state.nodes.get(id);
    if (node?.online === true && state.nowMs < untilMs) continue;
    // It does not answer: its forecasts begin with what was heard of it. One that comes back is asked again.
    endHistory(state, id, node);
  }
  for (const [id, { online, series }] of state.nodes) {
    if (asked.size >= limits.forecastHistoriesAtOnce) return;
    if (online && series.awaitsHistory && !asked.has(id)) ask(state, id, '1m', series.unknownMs(state.nowMs), effects);
  }
}

function ask(
  { foresight, term, nowMs }: PlannerState,
  node: string,
  resolution: HistoryResolution,
  sinceMs: number,
  effects: PlannerEffect[],
): void {
  foresight.requests += 1;
  // Never a number of another leadership: what comes late in answer to that is of another time.
  const request = term * 2 ** 24 + foresight.requests;
  const asked = { request, resolution, fromMs: nowMs - sinceMs, untilMs: nowMs + limits.relayWaitMs };
  foresight.asked.set(node, asked);
  effects.push(historyRequest(node, asked, nowMs));
}

function historyRequest(node: string, asked: Asked, nowMs: number, from?: number): PlannerEffect {
  const { request, resolution, fromMs } = asked;
  const message = { type: 'history-request', request, resolution, sinceMs: Math.ceil(nowMs - fromMs) } as const;
  return {
    type: 'send',
    node,
    message: { ...message, metrics: [...measured], ...(from === undefined ? {} : { from }) },
  };
}

/** A page of what a node has measured, or that it has none; an answer to somebody else's question is not for us. */
export function hearHistory(
  state: PlannerState,
  node: NodeView,
  message: OutboxMessage & { type: 'history' | 'request-failed' },
  effects: PlannerEffect[],
): void {
  const { node: id, memoryBytes } = node.status;
  const asked = state.foresight.asked.get(id);
  if (asked?.request !== message.request) return;
  if (message.type === 'request-failed') {
    endHistory(state, id, node);
    return;
  }
  const { page } = message;
  node.series.hearHistory(page, memoryBytes, state.nowMs);
  node.leaving?.hearHistory(page, wallMsOf(state));
  if (page.next !== undefined) {
    // Pages that never end are waited for no longer than one.
    effects.push(historyRequest(id, asked, state.nowMs, page.next));
    return;
  }
  const sinceMs = asked.resolution === '1m' ? longPastMs(state, node) : 0;
  if (sinceMs > 0) ask(state, id, '5m', sinceMs, effects);
  else endHistory(state, id, node);
}

const fiveMinutesMs = 300_000;

/** How far back means of five minutes are worth asking for: the series before those of a minute, the seasons before these, and when the node was there. */
function longPastMs({ nodes, nowMs }: PlannerState, { series, leaving }: NodeView): number {
  const isNew = series.beginsAt(nowMs) || leaving?.awaitsHistory === true;
  const means = Math.min(limits.forecastDistantMeans, Math.floor(limits.forecastDistantMeansOfAll / nodes.size));
  return Math.max(series.untoldMs(nowMs), isNew ? means * fiveMinutesMs : 0);
}

function endHistory(state: PlannerState, id: string, node: NodeView | undefined): void {
  state.foresight.asked.delete(id);
  node?.series.endHistory();
  node?.leaving?.endHistory(wallMsOf(state));
}

function forecastOf(state: PlannerState, node: NodeView, outlook: Outlook): NodeForecast {
  const { status, series, leaving } = node;
  const { forecastStepMs, forecastSteps } = state.config;
  const { meanwhile } = outlook;
  const { node: id, cores, memoryBytes, share, offeredMemoryBytes, withheld } = status;
  const available = availableOf(state, node, outlook);
  const left = node.online ? leaving?.forecast(wallMsOf(state), forecastSteps, forecastStepMs) : undefined;
  if (left !== undefined) node.leavesPerSecond = rateOf(left.at(-1) ?? 0, (forecastSteps * forecastStepMs) / 1_000);
  return {
    v: 1,
    node: id,
    leader: state.id,
    term: state.term,
    originWallMs: Math.max(0, Math.round(state.wallMs - (state.nowMs - outlook.originMs))),
    intervalMs: forecastStepMs,
    steps: forecastSteps,
    cores,
    memoryBytes,
    share,
    offeredMemoryBytes,
    observedSteps: meanwhile?.steps ?? series.observedSteps,
    ...(withheld === undefined ? {} : { withheld }),
    ...aheadOf(node, outlook.originMs),
    ...(left === undefined ? {} : { left: left.map(rounded) }),
    resources: resources.map((resource, index): ResourceForecast => {
      const unit = resource === 'memory' ? memoryBytes : 1;
      const why =
        meanwhile === undefined
          ? whyOf(state.foresight.foresight.why?.(seriesKey(id, resource)), unit)
          : { model: meanwhile.models[index]! };
      const own = bandsOf(outlook.curves[index]!, unit, resource === 'cpu');
      const free = resource === 'cpu' ? available.cpu : resource === 'memory' ? available.memory : undefined;
      return {
        resource,
        own,
        ...(free === undefined ? {} : { available: bandsOf(free, 1, resource === 'cpu') }),
        ...(why === undefined ? {} : { why }),
      };
    }),
  };
}

/** What is certain counts as this probable: a rate has no end. */
const probableMost = 0.999;

/** Departures per second that make this probability in that time. */
function rateOf(probability: number, inSeconds: number): number {
  return -Math.log1p(-Math.min(probableMost, probability)) / inSeconds;
}

/** From the origin on; absent where nothing is going to change. */
function aheadOf({ offersAhead }: NodeView, originMs: number): Pick<NodeForecast, 'ahead'> {
  if (offersAhead === undefined || offersAhead.changes.length === 0) return {};
  return {
    ahead: offersAhead.changes.map(({ atMs, ...change }) => ({
      ...change,
      afterMs: Math.max(0, Math.round(atMs - originMs)),
    })),
  };
}

function rounded(probability: number): number {
  return Math.round(probability * 10_000) / 10_000;
}

/** Members of a mixture that are named to people. */
const membersNamed = 3;

function whyOf(reasons: Reasons | undefined, unit: number): ForecastWhy | undefined {
  if (reasons === undefined) return undefined;
  const { champion, evidence = 0, loss, lossOfLast, members = [] } = reasons;
  const own = members.find(({ model }) => model === champion);
  const named = members.slice(0, membersNamed).filter(({ weight }) => weight >= 0.01);
  const text = named.map(({ model, weight }) => `${model} ${Math.round(weight * 100)} %`).join(', ');
  const score = (name: 'score' | 'engineScore' | 'lastValueScore', value: number | undefined) =>
    evidence > 0 && value !== undefined && Number.isFinite(value) ? { [name]: value * unit } : {};
  return {
    model: champion.slice(0, limits.forecastWhyCharacters),
    ...(own === undefined ? {} : { weight: rounded(own.weight) }),
    ...score('score', own?.loss),
    ...score('engineScore', loss),
    ...score('lastValueScore', lossOfLast),
    ...(evidence > 0 ? { evidence } : {}),
    ...(text === '' ? {} : { text: text.slice(0, limits.forecastWhyCharacters) }),
  };
}
