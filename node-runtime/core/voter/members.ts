import { limits, type NodeStatus, type VotersLink } from '../../contract/index.ts';
import { admissionProblem, votersToCertify } from '../ledger-members.ts';
import { membersOf } from '../raft/index.ts';
import { isVoterKey } from '../voters-chain.ts';
import type { VoterEffect } from './events.ts';
import type { VoterState } from './state.ts';

/** A link that was signed and has not come into the log yet is asked for again after this, milliseconds. */
const certifyAgainMs = 1_000;

/**
 * The key of a node as this voter knows it. One that was restarted has applied nothing of its log yet, and cannot before it
 * hears the other voters: of those it takes what the log says, committed or not.
 */
export function knownKeyOf({ raft, ledger }: VoterState, node: string): string | undefined {
  const known = ledger.nodes.get(node)?.publicKey;
  if (known !== undefined) return known;
  if (!raft.configurations.some(({ configuration }) => membersOf(configuration).includes(node))) return undefined;
  for (const { command } of raft.log)
    if (command?.type === 'enroll-node' && command.node === node) return command.publicKey;
  return undefined;
}

/**
 * Whether a node is listened to as one of those who keep the log: any other node that was ever enrolled could write into it.
 * It need not be of the configuration that counts here, for this log may be behind: a server takes the questions of others
 * without asking its own configuration (Ongaro 2014, 4.1). So it is of one that this log has, or known by what voters have
 * signed (`isProven`). One that only an entry made a voter which is missing here and not signed yet has to wait; of those
 * who voted before, one has that entry too, is heard, and can lead.
 */
export function isHeard({ raft }: VoterState, node: string, isProven: boolean): boolean {
  return isProven || raft.configurations.some(({ configuration }) => membersOf(configuration).includes(node));
}

/** All links that this voter knows, by its log and by what was proven to its node. */
export function knownChain({ ledger }: VoterState, proven: readonly VotersLink[]): VotersLink[] {
  const last = ledger.votersChain.at(-1)?.index ?? -1;
  return [...ledger.votersChain, ...proven.filter(({ index }) => index > last)].slice(-limits.votersLinks);
}

/**
 * Whether the planner is to hear of this status now. A newcomer is enrolled first: what it says counts once the log has its
 * key. One that the mesh does not admit is told why.
 */
export function admit(
  state: VoterState,
  status: NodeStatus,
  admitted: boolean,
  wallMs: number,
  out: VoterEffect[],
): boolean {
  const { node, publicKey, bootId, online } = status;
  const problem = admissionProblem(state.ledger, { node, publicKey }, admitted);
  if (problem !== undefined) {
    if (online) out.push({ type: 'send', node, message: { type: 'refused', bootId, problem } });
    // Somebody brought it back.
    if (problem.code === 'MESH_NODE_REMOVED' && !state.ledger.nodes.has(node)) out.push({ type: 'clear-status', node });
    return false;
  }
  if (state.ledger.nodes.has(node)) return true;
  if (!online) return false;
  if (!state.newcomers.has(node)) state.proposals.push({ type: 'enroll-node', node, publicKey, atMs: wallMs });
  state.newcomers.set(node, status);
  return false;
}

/** A node that votes gives up its seat first: who votes must be known by its key. Asked for again until it is gone. */
export function remove({ raft, seats, ledger, proposals }: VoterState, node: string, wallMs: number): void {
  if (!ledger.nodes.has(node)) return;
  seats.leaving.add(node);
  if (!membersOf(raft.configurations.at(-1)!.configuration).includes(node))
    proposals.push({ type: 'remove-node', node, atMs: wallMs });
}

/**
 * Committed voters that nobody has signed yet: any voter of those before them can, and each does, for the leader need not be
 * one of them. What is signed already is dropped by the ledger.
 */
export function certify(state: VoterState, nowMs: number, out: VoterEffect[]): void {
  const { raft, ledger, publicKey } = state;
  const { leader } = raft;
  if (leader === undefined || nowMs < state.certifyDueMs) return;
  const committed = raft.configurations.findLast(({ index }) => index <= state.appliedIndex);
  const voters = committed === undefined ? undefined : votersToCertify(ledger, committed.configuration);
  if (committed === undefined || voters === undefined) return;
  const last = ledger.votersChain.at(-1);
  if (last === undefined ? !state.isFounder : !isVoterKey(last, publicKey)) return;
  state.certifyDueMs = nowMs + certifyAgainMs;
  const { term } = raft.hard;
  out.push({ type: 'certify-voters', to: leader, link: { index: committed.index, term, ...voters } });
}
