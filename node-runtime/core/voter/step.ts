import { jobKeyOf } from '../job-plan.ts';
import { applyCommand } from '../ledger.ts';
import type { LedgerCommand, LedgerEvent } from '../ledger-commands.ts';
import { areCertified } from '../ledger-members.ts';
import { restoreLedger, snapshotLedger } from '../ledger-snapshot.ts';
import { type Instant, type PlannerEvent, stepPlanner } from '../planner/index.ts';
import {
  changeProblem,
  holdsLease,
  isFetchedFrom,
  type LogEntry,
  membersOf,
  type RaftEffect,
  type RaftEvent,
  raftDueMs,
  stepRaft,
} from '../raft/index.ts';
import type { VoterEffect, VoterEvent, VoterSnapshot } from './events.ts';
import { admit, certify, remove } from './members.ts';
import { createSeats, forgetSeat, seatsToChange, votersDefault, watchSeats } from './seats.ts';
import type { JobSpecBytes } from './specs.ts';
import { schedulePlan, type VoterState } from './state.ts';

type RaftStep = RaftEvent<LedgerCommand>;

/**
 * The one door of a voter: what happened in, what is to be done out. The log decides who leads; the ledger follows what the
 * log commits; the planner works while this voter leads, and what it wants remembered is proposed to the log.
 */
export function stepVoter(state: VoterState, event: VoterEvent, at: Instant): VoterEffect[] {
  const out: VoterEffect[] = [];
  // One that slept may be a leader of the past: it finds out before it does anything else.
  if (state.raft.role === 'leader' && (raftDueMs(state.raft) ?? 0) <= at.nowMs)
    stepLog(state, { type: 'tick', nowMs: at.nowMs }, at, out);
  state.planner.leased = holdsLease(state.raft, at.nowMs);
  take(state, event, at, out);
  certify(state, at.nowMs, out);
  while (state.proposals.length > 0) {
    const commands = state.proposals;
    state.proposals = [];
    // What a leader wanted that is none any more: its successor will want it too.
    if (state.raft.role === 'leader') stepLog(state, { type: 'propose', commands }, at, out);
  }
  return out;
}

function take(state: VoterState, event: VoterEvent, at: Instant, out: VoterEffect[]): void {
  const { nowMs } = at;
  switch (event.type) {
    case 'start':
      stepLog(state, { type: 'start', nowMs, seed: event.seed }, at, out);
      return;
    case 'tick':
      stepLog(state, { type: 'tick', nowMs }, at, out);
      if (state.planner.leading && state.planDueMs <= nowMs) lookAround(state, at, out);
      return;
    case 'raft-received':
      stepLog(state, { type: 'receive', nowMs, from: event.from, message: event.message }, at, out);
      return;
    case 'persisted':
      stepLog(state, { type: 'persisted', nowMs, sequence: event.sequence }, at, out);
      return;
    case 'compaction-due':
      compact(state, at, out);
      return;
    case 'compacted':
      state.compacting = false;
      return;
    case 'snapshot-fetched':
      install(state, event, at, out);
      return;
    case 'snapshot-failed':
      stepLog(state, { type: 'snapshot-failed', index: event.index, term: event.term }, at, out);
      return;
    case 'suspected':
      stepLog(state, { type: 'suspected', nowMs, node: event.node }, at, out);
      return;
    case 'spec-heard':
      hearSpec(state, event, at, out);
      return;
    case 'spec-cleared':
      state.specs.drop(event.account, event.job);
      return;
    case 'status-heard':
      if (state.planner.leading && admit(state, event.status, event.admitted, at.wallMs, out))
        plan(state, { type: 'node-status', status: event.status }, at, out);
      return;
    case 'stranger-heard':
      state.planner.strangers = true;
      return;
    case 'voters-certified':
      if (state.planner.leading) state.proposals.push({ type: 'certify-voters', link: event.link });
      return;
    case 'removal-wanted':
      if (state.planner.leading) remove(state, event.node, at.wallMs);
      return;
    case 'quota-wanted': {
      const { account, change } = event;
      if (state.planner.leading) state.proposals.push({ type: 'set-quota', account, change, atMs: at.wallMs });
      return;
    }
    case 'voters-wanted':
      if (state.planner.leading)
        state.proposals.push({ type: 'set-voters', settings: event.settings, atMs: at.wallMs });
      return;
    default:
      plan(state, event, at, out);
  }
}

function plan(state: VoterState, event: PlannerEvent, at: Instant, out: VoterEffect[]): void {
  for (const effect of stepPlanner(state.planner, event, at)) {
    if (effect.type === 'propose') state.proposals.push(...effect.commands);
    else out.push(effect);
  }
}

/** A leader's round: silent nodes, states that are due, and who should vote. */
function lookAround(state: VoterState, at: Instant, out: VoterEffect[]): void {
  const { raft, planner, seats } = state;
  schedulePlan(state, at.nowMs);
  plan(state, { type: 'tick' }, at, out);
  watchSeats(seats, raft, planner.nodes, at.nowMs);
  // Those who elected this leader must be known by their signatures before others take their place: else no node could
  // ever check the votes of this term.
  if (!isSigned(state)) return;
  const voters = seatsToChange(seats, raft, state.ledger.voters ?? votersDefault, at.nowMs);
  if (voters !== undefined && changeProblem(raft, voters, []) === undefined)
    stepLog(state, { type: 'change-voters', voters, learners: [] }, at, out);
}

function stepLog(state: VoterState, event: RaftStep, at: Instant, out: VoterEffect[]): void {
  // Those who leave sign who comes after them while they are still needed: afterwards they may be gone for good.
  state.raft.staysJoint = !isSigned(state);
  for (const effect of stepRaft(state.raft, event)) perform(state, effect, at, out);
}

/** Whether the voters of today are known by signatures. */
function isSigned({ ledger, raft }: VoterState): boolean {
  return areCertified(ledger, raft.configurations.at(-1)!.configuration);
}

function perform(state: VoterState, effect: RaftEffect<LedgerCommand>, at: Instant, out: VoterEffect[]): void {
  switch (effect.type) {
    case 'role-changed':
      out.push(effect);
      if (effect.role === 'follower' && state.planner.leading) plan(state, { type: 'deposed' }, at, out);
      return;
    case 'apply':
      apply(state, effect.entries, at, out);
      return;
    case 'send':
      out.push({ type: 'send-raft', to: effect.to, message: effect.message });
      return;
    case 'persist':
    case 'fetch-snapshot':
      out.push(effect);
      return;
    case 'install-snapshot':
      throw new Error('voter: a snapshot comes with its ledger'); // see `install`
  }
}

function apply(state: VoterState, entries: readonly LogEntry<LedgerCommand>[], at: Instant, out: VoterEffect[]): void {
  const events: LedgerEvent[] = [];
  let elected = false;
  for (const { command, configuration, index, term } of entries) {
    // Twice, or with a gap, and this ledger is another than everybody's.
    if (index !== state.appliedIndex + 1) throw new Error(`voter: entry ${index} comes after ${state.appliedIndex}`);
    if (command !== undefined) events.push(...applyCommand(state.ledger, command));
    // The entry that a leader writes first: with it applied, the ledger is as new as any.
    else if (configuration === undefined) elected ||= state.raft.role === 'leader' && term === state.raft.hard.term;
    state.appliedIndex = index;
  }
  for (const event of events) if (event.type === 'job-accepted') dropSpec(state, event.key);
  if (elected) takeOver(state, at, out);
  else if (events.length > 0) {
    plan(state, { type: 'applied', events }, at, out);
    if (state.planner.leading) for (const event of events) followMembers(state, event, at, out);
  }
}

function followMembers(state: VoterState, event: LedgerEvent, at: Instant, out: VoterEffect[]): void {
  // Nodes that could not follow who votes now, and so not believe this leader, can with the new link.
  if (event.type === 'voters-certified') plan(state, { type: 'asked-who-leads' }, at, out);
  if (event.type === 'node-removed') forgetSeat(state.seats, event.node);
  const node = event.type === 'node-enrolled' ? event.node : undefined;
  const dropped = event.type === 'dropped' && event.command.type === 'enroll-node' ? event.command.node : undefined;
  const status = state.newcomers.get(node ?? dropped ?? '');
  if (status === undefined) return;
  state.newcomers.delete(status.node);
  if (status.publicKey === state.ledger.nodes.get(status.node)?.publicKey)
    plan(state, { type: 'node-status', status }, at, out);
}

function dropSpec(state: VoterState, key: string): void {
  const [account, job] = key.split('/') as [string, string];
  state.specs.drop(account, job);
}

/** Elected, and the ledger as new as any. */
function takeOver(state: VoterState, at: Instant, out: VoterEffect[]): void {
  Object.assign(state.seats, createSeats());
  state.newcomers.clear();
  schedulePlan(state, at.nowMs);
  state.planner.leased = holdsLease(state.raft, at.nowMs);
  plan(state, { type: 'elected', term: state.raft.hard.term }, at, out);
  for (const spec of state.specs.all()) out.push({ type: 'take-spec', ...spec });
}

function hearSpec(state: VoterState, spec: JobSpecBytes, at: Instant, out: VoterEffect[]): void {
  const { account, job, specHash, payload } = spec;
  const known = state.ledger.jobs.get(jobKeyOf(account, job));
  if (known !== undefined) {
    plan(state, { type: 'submitted', account, job, specHash, plan: known.plan }, at, out);
    return;
  }
  state.specs.hold({ account, job, specHash, payload });
  if (state.planner.leading) out.push({ type: 'take-spec', account, job, specHash, payload });
}

function compact(state: VoterState, at: Instant, out: VoterEffect[]): void {
  const { raft } = state;
  if (state.compacting || state.appliedIndex <= raft.snapshotIndex || isFetchedFrom(raft)) return;
  // A newcomer that has not read yet who votes: its snapshot could not say it.
  const known = raft.configurations.findLast(({ index }) => index <= state.appliedIndex);
  if (known === undefined || membersOf(known.configuration).length === 0) return;
  state.compacting = true;
  stepLog(state, { type: 'compacted', index: state.appliedIndex }, at, out);
  out.push({ type: 'compact', ...snapshotOf(state), tail: raft.log });
}

function snapshotOf({ raft, ledger }: VoterState): VoterSnapshot {
  const { snapshotIndex: index, snapshotTerm: term } = raft;
  return { index, term, configuration: raft.configurations[0]!.configuration, ledger: snapshotLedger(ledger) };
}

/** The ledger jumps to the snapshot, and the log behind it with it. */
function install(state: VoterState, fetched: VoterSnapshot, at: Instant, out: VoterEffect[]): void {
  const { index, term, configuration } = fetched;
  const { nowMs } = at;
  for (const effect of stepRaft(state.raft, { type: 'snapshot-fetched', nowMs, index, term, configuration })) {
    if (effect.type !== 'install-snapshot') {
      perform(state, effect, at, out);
      continue;
    }
    state.ledger = restoreLedger(fetched.ledger);
    state.planner.ledger = state.ledger;
    state.appliedIndex = index;
    for (const key of state.ledger.jobs.keys()) dropSpec(state, key);
    out.push({ ...effect, ledger: fetched.ledger, tail: state.raft.log });
  }
}
