import type { VoterSettings } from '../ledger-commands.ts';
import type { NodeView } from '../planner/state.ts';
import { type Configuration, isVoter, type RaftState } from '../raft/index.ts';

/** What the leader has seen, in this leadership, of those that vote or might. Milliseconds of its own clock. */
export interface Seats {
  /** Since when a node that may lead has been there without a break. */
  readonly presentSinceMs: Map<string, number>;
  /** Since when a voter has not answered. */
  readonly awaySinceMs: Map<string, number>;
  /** The heartbeat at which a member was first seen: it cannot have answered an earlier one. */
  readonly memberSinceRound: Map<string, number>;
  /** Those whom a person wants out of the mesh: they get no seat, and lose theirs. */
  readonly leaving: Set<string>;
}

export const votersDefault: VoterSettings = { settleMs: 30_000, replaceAfterMs: 300_000 };

/** A heartbeat that was not answered may be one that was lost. */
const roundsMissed = 5;

export function createSeats(): Seats {
  return { presentSinceMs: new Map(), awaySinceMs: new Map(), memberSinceRound: new Map(), leaving: new Set() };
}

/** It is out of the mesh: another one may come by its name. */
export function forgetSeat({ presentSinceMs, leaving }: Seats, node: string): void {
  presentSinceMs.delete(node);
  leaving.delete(node);
}

/** Notes who is there; to be called now and then by a leader. */
export function watchSeats<Command>(
  seats: Seats,
  raft: RaftState<Command>,
  nodes: ReadonlyMap<string, NodeView>,
  nowMs: number,
): void {
  for (const [id, node] of nodes) {
    if (!node.online || !node.status.mayLead || seats.leaving.has(id)) seats.presentSinceMs.delete(id);
    else if (!seats.presentSinceMs.has(id)) seats.presentSinceMs.set(id, nowMs);
  }
  for (const node of seats.awaySinceMs.keys()) {
    if (raft.progress.has(node)) continue;
    // It lost its seat by not answering, though its status says that it is there: it has to settle again.
    seats.awaySinceMs.delete(node);
    if (seats.presentSinceMs.has(node)) seats.presentSinceMs.set(node, nowMs);
  }
  for (const node of seats.memberSinceRound.keys()) if (!raft.progress.has(node)) seats.memberSinceRound.delete(node);
  for (const [member, progress] of raft.progress) {
    if (!seats.memberSinceRound.has(member)) seats.memberSinceRound.set(member, raft.round);
    // A newcomer has to make its log before it answers for the first time.
    const round = Math.max(progress.answeredRound, seats.memberSinceRound.get(member)!);
    if (round >= raft.round - roundsMissed) seats.awaySinceMs.delete(member);
    else if (!seats.awaySinceMs.has(member)) seats.awaySinceMs.set(member, nowMs);
  }
}

/**
 * Who shall vote: those who do and are there, then those who have been there longest. 1, 3 or 5 of them: one more would
 * make every decision slower and survive no more. A voter that is away keeps its seat until somebody can take it.
 */
export function wantedVoters(
  seats: Pick<Seats, 'presentSinceMs' | 'awaySinceMs'> & Partial<Pick<Seats, 'leaving'>>,
  { voters }: Configuration,
  leader: string,
  settings: VoterSettings,
  nowMs: number,
): string[] {
  const isGone = (voter: string) => nowMs - (seats.awaySinceMs.get(voter) ?? nowMs) > settings.replaceAfterMs;
  const isAway = (voter: string) => seats.awaySinceMs.has(voter);
  const others = voters.filter((voter) => voter !== leader && seats.leaving?.has(voter) !== true);
  const kept = others
    .filter((voter) => !isGone(voter))
    .sort((a, b) => Number(isAway(a)) - Number(isAway(b)) || order(a, b));
  const gone = others.filter(isGone).sort(order);
  const settled = [...seats.presentSinceMs]
    .filter(([node, sinceMs]) => !voters.includes(node) && !isAway(node) && nowMs - sinceMs >= settings.settleMs)
    .sort(([a, sinceA], [b, sinceB]) => sinceA - sinceB || order(a, b))
    .map(([node]) => node);
  const inOrder = [leader, ...kept, ...settled, ...gone];
  // Left to itself the mesh only grows: a node that is switched off for a while takes no seat with it.
  const present = 1 + kept.length + settled.length;
  const count = settings.count ?? Math.max(voters.length, present >= 5 ? 5 : present >= 3 ? 3 : 1);
  if (inOrder.length >= count) return inOrder.slice(0, count);
  // Fewer than wanted: an even number would survive no more than one less.
  return inOrder.slice(0, Math.max(oddUpTo(inOrder.length), Math.min(voters.length, inOrder.length)));
}

/** The change that is to be proposed now, if any. */
export function seatsToChange<Command>(
  seats: Seats,
  raft: RaftState<Command>,
  settings: VoterSettings,
  nowMs: number,
): readonly string[] | undefined {
  const { configuration } = raft.configurations.at(-1)!;
  if (raft.role !== 'leader' || !isVoter(configuration, raft.id)) return undefined;
  const wanted = wantedVoters(seats, configuration, raft.id, settings, nowMs);
  // A new leader has not found out yet who is gone: with most of them gone the mesh would never decide anything again.
  const answers = (voter: string) =>
    voter === raft.id ||
    !configuration.voters.includes(voter) ||
    (raft.progress.get(voter)?.answeredRound ?? 0) >= Math.max(1, raft.round - roundsMissed);
  if (2 * wanted.filter(answers).length <= wanted.length) return undefined;
  const goal = raft.target?.voters ?? configuration.voters;
  const reached = raft.target !== undefined || configuration.learners.length === 0;
  const same = wanted.length === goal.length && wanted.every((voter) => goal.includes(voter));
  return same && reached ? undefined : wanted;
}

function oddUpTo(count: number): number {
  return count % 2 === 1 ? count : count - 1;
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
