import { limits, type Problem } from '../../contract/index.ts';
import { jobKeyOf } from '../job-plan.ts';
import { isWhole } from '../ledger-cuts.ts';
import { awaitsIndex, cutAhead } from './chunks.ts';
import { watchClock } from './clock.ts';
import { copyLate } from './copies.ts';
import { dispatch } from './dispatch.ts';
import type { Announcement, PlannerEffect, PlannerEvent } from './events.ts';
import { createForesightState, study, useModel, watchForesight } from './foresight/index.ts';
import { cutIndexedStage, cutsOnAcceptance, followLedger, openJob, publishEnd } from './jobs.ts';
import { createMovesState } from './moves-state.ts';
import { hearMetrics, hearSignOfLife, hearStatus, watchNodes } from './nodes.ts';
import { watchPromises } from './plan/index.ts';
import { quotaProblem, scheduleQuotaProblem } from './quotas.ts';
import { repartition } from './repartition.ts';
import { hearReport } from './reports.ts';
import { beginToAge, expireJobs, passedTime } from './retention.ts';
import { runSchedules, watchDeadlines } from './schedules.ts';
import type { PlannerState } from './state.ts';
import { endJob } from './tasks.ts';
import { jobStateOf, refusedStateOf } from './views.ts';

/** When the event happened: monotonic for every decision, wall clock for what people read. Milliseconds. */
export interface Instant {
  readonly nowMs: number;
  readonly wallMs: number;
}

/** The one door: an event in, what is to be done out. Reads no clock and does no I/O. */
export function stepPlanner(state: PlannerState, event: PlannerEvent, at: Instant): PlannerEffect[] {
  state.nowMs = at.nowMs;
  state.wallMs = at.wallMs;
  const effects: PlannerEffect[] = [];
  if (event.type === 'elected') elected(state, event.term, effects);
  else if (event.type === 'deposed') forgetPlans(state);
  else if (event.type === 'connected' || event.type === 'disconnected')
    hearConnection(state, event.type === 'connected', effects);
  else if (state.leading) handle(state, event, effects);
  if (state.leading) {
    if (state.leased) {
      dispatch(state, effects);
      cutAhead(state, effects);
      if (event.type === 'tick') copyLate(state, effects);
    }
    publishDirty(state, effects);
  }
  return effects;
}

/** Heard by every voter: whoever is elected must know it. */
function hearConnection(state: PlannerState, connected: boolean, effects: PlannerEffect[]): void {
  state.connected = connected;
  if (!connected || !state.leading) return;
  if (state.graceUntilMs === Number.POSITIVE_INFINITY) state.graceUntilMs = state.nowMs + state.config.inventoryGraceMs;
  for (const node of state.nodes.values()) {
    node.confirmed = false;
    node.seenMs = state.nowMs;
    node.series.awaitHistory();
  }
  state.fleet += 1;
  announce(state, effects);
}

type PlanningEvent = Exclude<PlannerEvent, { type: 'elected' | 'deposed' | 'connected' | 'disconnected' }>;

function handle(state: PlannerState, event: PlanningEvent, effects: PlannerEffect[]): void {
  switch (event.type) {
    case 'submitted':
      submit(state, event, effects);
      return;
    case 'cancel-requested': {
      const key = jobKeyOf(event.account, event.job);
      // In the log, its end comes after its acceptance, also while that is on its way.
      if (state.ledger.jobs.get(key)?.phase === 'running' || state.accepting.has(key)) {
        effects.push(endJob(state, event, { code: 'MESH_JOB_CANCELLED', message: event.reason }, 'cancelled'));
      }
      return;
    }
    case 'applied':
      for (const each of event.events) followLedger(state, each, effects);
      return;
    case 'indexed':
    case 'index-failed': {
      const key = jobKeyOf(event.account, event.job);
      const job = state.ledger.jobs.get(key);
      const stage = state.jobs.get(key)?.stages.get(event.stage);
      if (job === undefined || stage === undefined) return; // the job has ended meanwhile
      const ledger = job.stages.get(event.stage)!;
      if (event.type === 'indexed') cutIndexedStage(state, job, stage, event, effects);
      else if (isWhole(ledger))
        delete stage.isAsked; // it can do without
      else if (awaitsIndex(stage, ledger)) effects.push(endJob(state, job, event.problem)); // else it comes late
      return;
    }
    case 'model-trained': {
      const { kind, model, weights, trainedOn } = event;
      const kept = { type: 'keep-model', kind, model, weights, trainedOn } as const;
      // How old the log is, is said with it: its age counts from now.
      effects.push({ type: 'propose', commands: [...passedTime(state), kept] });
      return;
    }
    case 'model-read':
      useModel(state, event.kind, event.weights);
      return;
    case 'study':
      study(state);
      return;
    case 'asked-who-leads':
      if (state.connected) announce(state, effects);
      return;
    case 'node-status':
      if (state.nodes.size < limits.nodesPerMesh || state.nodes.has(event.status.node))
        hearStatus(state, event.status, effects);
      return;
    case 'node-metrics':
      hearMetrics(state, event.metrics, effects);
      return;
    case 'node-reported': {
      const node = hearSignOfLife(state, event.node, event.bootId, effects);
      if (node === undefined) return; // its status will come, and then we ask
      for (const message of event.messages) hearReport(state, node, message, effects);
      return;
    }
    case 'tick':
      // The same announcement as before: whoever has it does not answer it again.
      if (watchNodes(state, effects)) effects.push({ type: 'announce', hint: hintOf(state) });
      if (state.connected && state.strangers && state.nowMs - state.announcedMs > state.config.inventoryIntervalMs) {
        announce(state, effects);
      }
      goByTheClock(state, effects);
      watchForesight(state, effects);
      if (state.leased) repartition(state, effects);
  }
}

/** What is due. Without a lease another may lead already: it would come to nothing in the log. */
function goByTheClock(state: PlannerState, effects: PlannerEffect[]): void {
  watchClock(state, effects);
  if (!state.leased) return;
  runSchedules(state, effects);
  watchDeadlines(state, effects);
  watchPromises(state, effects);
  expireJobs(state, effects);
}

function elected(state: PlannerState, term: number, effects: PlannerEffect[]): void {
  forgetPlans(state);
  state.leading = true;
  state.term = term;
  beginToAge(state);
  for (const job of state.ledger.jobs.values()) {
    if (job.phase === 'running') openJob(state, job, effects);
    // The leader before may have died between the commit and the last word on it.
    else publishEnd(state, job, effects);
  }
  // Perhaps the leader before has made all the moves that this interval allows.
  if (state.jobs.size > 0) Object.assign(state.moves, { sinceMs: state.nowMs, made: state.config.movesPerInterval });
  // While we are away nobody can say what still runs: then the grace begins with the connection.
  if (state.jobs.size === 0) state.graceUntilMs = Number.NEGATIVE_INFINITY;
  else state.graceUntilMs = state.connected ? state.nowMs + state.config.inventoryGraceMs : Number.POSITIVE_INFINITY;
  if (state.connected) announce(state, effects);
}

function forgetPlans(state: PlannerState): void {
  state.leading = false;
  state.nodes.clear();
  state.foresight = createForesightState(state.policy);
  state.moves = createMovesState();
  state.jobs.clear();
  state.cutting.clear();
  state.attempts.clear();
  state.tasksAtOnce.clear();
  state.stored.clear();
  state.accepting.clear();
  state.clock = 'unheard';
  delete state.clockProblem;
  for (const queue of state.ready) queue.clear();
}

function announce(state: PlannerState, effects: PlannerEffect[]): void {
  state.announcements += 1;
  state.announcedMs = state.nowMs;
  state.strangers = false;
  effects.push({ type: 'announce', hint: hintOf(state) });
}

function hintOf({ id: node, bootId, term, announcements: seq, holders }: PlannerState): Announcement {
  return { node, bootId, term, seq, holders: [...holders] };
}

function submit(state: PlannerState, event: PlannerEvent & { type: 'submitted' }, effects: PlannerEffect[]): void {
  const { account, job, specHash, plan } = event;
  const key = jobKeyOf(account, job);
  const problem = whyRefused(state, event);
  if (problem !== undefined) {
    refuse(state, event, problem, effects);
    return;
  }
  if (state.accepting.has(key)) return; // it is on its way into the log: until it is there, its spec stays
  const known = state.ledger.jobs.get(key);
  if (known === undefined) {
    state.accepting.set(key, specHash);
    const head = { type: 'accept-job' as const, account, job, atMs: state.wallMs };
    effects.push({ type: 'propose', commands: [{ ...head, specHash, plan, cuts: cutsOnAcceptance(plan) }] });
    return;
  }
  // The same job again: say once more where it stands.
  effects.push({ type: 'clear-spec', account, job });
  if (known.phase === 'running') effects.push({ type: 'publish-state', state: jobStateOf(state, known) });
  else publishEnd(state, known, effects);
}

function whyRefused(state: PlannerState, event: PlannerEvent & { type: 'submitted' }): Problem | undefined {
  const { account, job, specHash } = event;
  const key = jobKeyOf(account, job);
  const forgotten = state.ledger.tombstones.get(key);
  const held = state.ledger.jobs.get(key)?.specHash ?? forgotten?.specHash ?? state.accepting.get(key);
  if (held === undefined)
    return nameProblem(event) ?? scheduleProblemOf(state, event) ?? quotaProblem(state, account, event.plan);
  const conflict = { code: 'MESH_JOB_CONFLICT', mend: 'choose another id' };
  if (held !== specHash) return { ...conflict, message: `job "${job}" exists with another spec` };
  if (forgotten === undefined) return undefined;
  return { ...conflict, message: `job "${job}" is ${forgotten.phase}, and its result is not kept any more` };
}

function scheduleProblemOf(state: PlannerState, { account, plan }: PlannerEvent & { type: 'submitted' }) {
  return plan.schedule === undefined ? undefined : scheduleQuotaProblem(state, account);
}

function nameProblem({ job, plan }: PlannerEvent & { type: 'submitted' }): Problem | undefined {
  if (plan.schedule === undefined || job.length <= limits.scheduleCharacters) return undefined;
  const message = `scheduleCharacters is ${limits.scheduleCharacters}, the id of schedule "${job}" has ${job.length}`;
  return { code: 'MESH_LIMIT_EXCEEDED', message, mend: 'choose a shorter id' };
}

function refuse(
  state: PlannerState,
  event: PlannerEvent & { type: 'submitted' },
  problem: Problem,
  effects: PlannerEffect[],
): void {
  const { account, job } = event;
  effects.push(
    { type: 'publish-state', state: refusedStateOf(state, event, problem) },
    { type: 'clear-spec', account, job },
  );
}

/** States that changed since they were last published, each at most once per `statePublishMs`. */
function publishDirty(state: PlannerState, effects: PlannerEffect[]): void {
  for (const view of state.jobs.values()) {
    if (!view.dirty || state.nowMs - view.publishedMs < state.config.statePublishMs) continue;
    view.dirty = false;
    view.publishedMs = state.nowMs;
    view.revision += 1;
    effects.push({ type: 'publish-state', state: jobStateOf(state, state.ledger.jobs.get(view.key)!) });
  }
}
