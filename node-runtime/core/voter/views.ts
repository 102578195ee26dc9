import { limits, type QueryAnswer, type QueryAsk, type VoterRow, type VoterSettingsAsk } from '../../contract/index.ts';
import type { VoterSettings } from '../ledger-commands.ts';
import { isVoter, lastIndex, membersOf } from '../raft/index.ts';
import { votersDefault } from './seats.ts';
import type { VoterState } from './state.ts';

/** Who votes, how far each is, and what was asked for. */
export function describeVoters(
  state: VoterState,
  { id }: Pick<QueryAsk, 'id'>,
  nowMs: number,
): QueryAnswer & { query: 'voters' } {
  const { raft, planner } = state;
  const { configuration } = raft.configurations.at(-1)!;
  const committed = raft.configurations.findLast(({ index }) => index <= raft.commitIndex)!.configuration;
  // While the change is joint nothing is decided without the voters before it: the mesh cannot do yet with the new ones alone.
  const seated = committed.outgoing ?? committed.voters;
  const roleOf = (node: string): VoterRow['role'] => {
    if (node === raft.id) return 'leader';
    if (!configuration.voters.includes(node)) return isVoter(configuration, node) ? 'leaving' : 'joining';
    return seated.includes(node) ? 'voter' : 'joining';
  };
  const voters = membersOf(configuration).map((node): VoterRow => {
    const awaySinceMs = state.seats.awaySinceMs.get(node);
    return {
      node,
      role: roleOf(node),
      behind: Math.max(
        0,
        lastIndex(raft) - (node === raft.id ? raft.persistedIndex : (raft.progress.get(node)?.match ?? 0)),
      ),
      ...(awaySinceMs === undefined ? {} : { awayMs: Math.max(0, Math.round(nowMs - awaySinceMs)) }),
    };
  });
  const { count = 'auto', settleMs, replaceAfterMs } = state.ledger.voters ?? votersDefault;
  const candidates = [...planner.nodes.values()]
    .filter(({ online, status }) => online && status.mayLead && !voters.some(({ node }) => node === status.node))
    .map(({ status }) => status.node)
    .slice(0, limits.queryRows);
  const settings = { count: count as 'auto' | 1 | 3 | 5, settleMs, replaceAfterMs };
  return { v: 1, id, query: 'voters', term: raft.hard.term, voters, settings, candidates };
}

/** Whether the node is out of the mesh, or why it cannot go: the leader cannot take itself out. */
export function describeRemoval(
  { ledger, raft }: VoterState,
  { id, node }: QueryAsk & { query: 'remove-node' },
): QueryAnswer & { query: 'remove-node' | 'error' } {
  const head = { v: 1 as const, id };
  if (ledger.nodes.has(node)) {
    if (node !== raft.id) return { ...head, query: 'remove-node', node, isGone: false };
    const message = `"${node}" leads the mesh now`;
    const mend = `stop it, so that another leads, and ask again; a mesh of one voter cannot do without "${node}"`;
    return { ...head, query: 'error', problem: { code: 'MESH_NODE_LEADS', message, mend } };
  }
  if ([...ledger.removed.values()].includes(node)) return { ...head, query: 'remove-node', node, isGone: true };
  const problem = {
    code: 'MESH_NODE_UNKNOWN',
    message: `the mesh has no node "${node}"`,
    mend: '`foremesh nodes` lists them',
  };
  return { ...head, query: 'error', problem };
}

/** What was asked for on top of what was there. */
export function settingsWith(state: VoterState, asked: VoterSettingsAsk): VoterSettings {
  const { count: countBefore, settleMs, replaceAfterMs } = state.ledger.voters ?? votersDefault;
  const count = asked.count === undefined ? countBefore : asked.count === 'auto' ? undefined : asked.count;
  return {
    ...(count === undefined ? {} : { count }),
    settleMs: asked.settleMs ?? settleMs,
    replaceAfterMs: asked.replaceAfterMs ?? replaceAfterMs,
  };
}
