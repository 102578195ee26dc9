import * as z from 'zod';
import { limits } from '../limits.ts';
import { bytes, count, identifier, signature, version } from './shared.ts';
import { votersChain, votersLink } from './trust.ts';

/** Who votes; while `outgoing` is there both sets must agree. Learners get the log and count for nothing. */
const members = z.array(identifier).max(limits.votersPerMesh);
export const raftConfiguration = z.object({
  voters: members,
  outgoing: members.optional(),
  learners: members,
});

/** A command of the ledger travels as its CBOR, as it stands in the log. */
const logEntry = z.object({
  index: count,
  term: count,
  command: bytes.optional(),
  configuration: raftConfiguration.optional(),
});

const lastEntry = { lastIndex: count, lastTerm: count };

/** What voters say to each other; `core/raft/messages.ts` says what each means. */
export const raftMessage = z.discriminatedUnion('type', [
  z.object({ type: z.literal('pre-vote-request'), term: count, round: count, ...lastEntry }),
  z.object({ type: z.literal('pre-vote-answer'), term: count, round: count, granted: z.boolean() }),
  z.object({ type: z.literal('vote-request'), term: count, ...lastEntry }),
  /** A granted vote is signed: Ed25519 over `voteStatement`. */
  z.object({ type: z.literal('vote-answer'), term: count, granted: z.boolean(), signature: bytes.optional() }),
  z.object({
    type: z.literal('append'),
    term: count,
    round: count,
    previousIndex: count,
    previousTerm: count,
    entries: z.array(logEntry).max(limits.entriesPerAppend),
    commitIndex: count,
  }),
  z.object({
    type: z.literal('append-answer'),
    term: count,
    round: count,
    match: count.optional(),
    reject: z.object({ previousIndex: count, hintIndex: count, hintTerm: count }).optional(),
  }),
  z.object({ type: z.literal('snapshot'), term: count, round: count, index: count, indexTerm: count }),
]);
export type RaftWireMessage = z.infer<typeof raftMessage>;

const ofSnapshot = { index: count, indexTerm: count, offset: count };

/**
 * `raft/<to>/<from>`, CBOR, QoS 0: voter or learner to another. A message may be lost, doubled, late or out of order. It is
 * known by (`bootId`, `seq`) of its sender; two boots that take turns under one id are two machines with one identity.
 */
export const raftEnvelope = z.object({
  v: version,
  bootId: identifier,
  seq: count,
  /**
   * With a question for a vote: how the voters of today came to be. One that slept while they changed does not know who asks;
   * so it can find out that it is a voter, and its key.
   */
  chain: votersChain.optional(),
  content: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('message'), message: raftMessage }),
    /** A message larger than a payload: the CBOR of its `message`, cut. All parts have its `seq`; one lost is all lost. */
    z.object({
      kind: z.literal('part'),
      part: count.max(limits.partsPerRaftMessage - 1),
      parts: z.number().int().min(2).max(limits.partsPerRaftMessage),
      bytes,
    }),
    /** Who votes now, signed by the sender, for the leader to put it into the log. */
    z.object({ kind: z.literal('voters'), link: votersLink }),
    /** The receiver of a `snapshot` message asks for its bytes, chunk by chunk, at its own pace; also again after a loss. */
    z.object({ kind: z.literal('snapshot-ask'), ...ofSnapshot }),
    /** Of this snapshot or of a newer one, if that is what there is; then it begins at offset 0. The hash is of the whole. */
    z.object({
      kind: z.literal('snapshot-chunk'),
      ...ofSnapshot,
      sizeBytes: count,
      sha256: bytes,
      bytes,
    }),
  ]),
});
export type RaftEnvelope = z.infer<typeof raftEnvelope>;

/**
 * Why a node may raise its term: the votes that elected this leader, of a quorum of the voters it knows. `mesh` is the id
 * that the founder drew, not the name in the topics: of two meshes with one name none elects the other's leader. The
 * signatures are text, not bytes, since the proof stands in the leader's hint, which is JSON.
 */
export const termProof = z.object({
  mesh: identifier,
  term: count,
  candidate: identifier,
  votes: z
    .array(z.object({ voter: identifier, signature }))
    .min(1)
    .max(2 * limits.votersPerMesh),
});
export type TermProof = z.infer<typeof termProof>;

/** What a vote signs. No field can hold a newline, so no two statements are alike. */
export function voteStatement(vote: { mesh: string; term: number; candidate: string; voter: string }): Uint8Array {
  const { mesh, term, candidate, voter } = vote;
  return new TextEncoder().encode(`foremesh vote v1\n${mesh}\n${term}\n${candidate}\n${voter}\n`);
}
