import {
  base64UrlOf,
  limits,
  type NodeKey,
  type TermProof,
  type VotersLink,
  votersStatement,
  voteStatement,
} from '../contract/index.ts';
import { quorumSize, type Vote } from './raft/index.ts';
import { isVoterKey, type KeyOfVoter } from './voters-chain.ts';

/** Whether the owner of this key signed this statement. Must not throw. */
export type Verify = (publicKey: string, statement: Uint8Array, signature: string) => boolean;

/** What a node keeps of whom it obeys; on its disk before it obeys. */
export interface TrustRecord {
  /** The highest term that was proven: the fence, never lowered. */
  readonly term: number;
  /** Who leads in it. */
  readonly leader?: NodeKey;
  /** The voters in force when the term was proven, and those that came later. */
  readonly links: readonly VotersLink[];
}

/** Whom a node believes, from nothing but the id of its mesh: the founder's key, whose owner was the first voter. */
export interface Trust {
  readonly meshId: string;
  readonly verify: Verify;
  record: TrustRecord;
}

/** What a leader shows of itself. */
export interface Claim {
  readonly proof: TermProof;
  readonly chain: readonly VotersLink[];
  readonly leader: NodeKey;
}

/** `changed`: the record is another one, and has to be on disk before anything rests on it. */
export type Verdict =
  | { readonly accepted: true; readonly changed: boolean }
  | { readonly accepted: false; readonly changed: boolean; readonly reason: string };

interface Voters {
  readonly index: number;
  readonly term: number;
  readonly voters: readonly KeyOfVoter[];
  readonly outgoing?: readonly KeyOfVoter[] | undefined;
}

export function createTrust(meshId: string, verify: Verify, record: TrustRecord = { term: 0, links: [] }): Trust {
  return { meshId, verify, record };
}

/** The key of a node as the proofs tell it: of the leader, and of those who vote. */
export function provenKeyOf({ record: { leader, links } }: Trust, node: string): string | undefined {
  if (leader?.node === node) return leader.publicKey;
  for (const { voters, outgoing = [] } of links.toReversed())
    for (const voter of [...voters, ...outgoing]) if (voter.node === node) return voter.publicKey;
  return undefined;
}

/** The links that the node knows, with the founder alone in front where nothing says what came later. */
function knownVoters({ meshId, record }: Trust): readonly Voters[] {
  const { term, links } = record;
  if (links.length > 0 && links[0]!.term <= term) return links;
  return [{ index: 0, term: 0, voters: [{ publicKey: meshId }] }, ...links];
}

/**
 * Takes what is newer than what the node knows, link by link, each signed by a voter of the one before. Others are left
 * aside; the reason is that of the last of them.
 */
export function extendChain(trust: Trust, chain: readonly VotersLink[]): { changed: boolean; reason?: string } {
  const before = trust.record;
  let reason: string | undefined;
  for (const link of chain) {
    const newest = knownVoters(trust).at(-1)!;
    if (link.index <= newest.index) continue;
    const fault = linkFault(trust, newest, link);
    if (fault !== undefined) {
      reason = fault;
      continue;
    }
    const links = [...trust.record.links, link].slice(-limits.votersLinks);
    trust.record = { ...trust.record, links };
  }
  return { changed: trust.record !== before, ...(reason === undefined ? {} : { reason }) };
}

function linkFault({ meshId, verify }: Trust, before: Voters, link: VotersLink): string | undefined {
  const which = `the voters of entry ${link.index}`;
  if (link.term < before.term) return `${which} are of an older term than those before them`;
  if (!isVoterKey(before, link.signer)) {
    return `${which} are signed by none of those of entry ${before.index}, the last that are known here`;
  }
  return verify(link.signer, votersStatement(meshId, link), link.signature)
    ? undefined
    : `the signature under ${which} is wrong`;
}

/**
 * Raises the term, if a quorum of voters has elected this leader in it. The node need not know which voters those were at
 * the election: the newest that an older term has certified, or some that came later.
 */
export function proveTerm(trust: Trust, { proof, chain, leader }: Claim): Verdict {
  if (proof.mesh !== trust.meshId) return refused(false, 'the proof is of another mesh');
  const extension = extendChain(trust, chain);
  const { term, leader: known, links } = trust.record;
  const { changed } = extension;
  if (proof.term < term) return refused(changed, `term ${proof.term} is past, this is term ${term}`);
  if (proof.term === term) {
    if (known?.node === leader.node && known.publicKey === leader.publicKey) return { accepted: true, changed };
    return refused(changed, `in term ${term} ${known?.node ?? 'nobody'} leads`);
  }
  if (proof.candidate !== leader.node) return refused(changed, `the votes are for ${proof.candidate}`);
  const fault = findProofFault(trust, proof, leader);
  if (fault !== undefined)
    return refused(changed, extension.reason === undefined ? fault : `${fault}; ${extension.reason}`);
  // A later term was elected by the newest of these, or by voters that came after it.
  const base = Math.max(
    0,
    links.findLastIndex((link) => link.term <= proof.term),
  );
  trust.record = {
    term: proof.term,
    leader: { node: leader.node, publicKey: leader.publicKey },
    links: links.slice(base),
  };
  return { accepted: true, changed: true };
}

function refused(changed: boolean, reason: string): Verdict {
  return { accepted: false, changed, reason };
}

function findProofFault(trust: Trust, proof: TermProof, leader: NodeKey): string | undefined {
  const all = knownVoters(trust);
  const base = all.findLastIndex(({ term }) => term < proof.term);
  let fault: string | undefined;
  for (const voters of all.slice(base)) {
    fault = findElectionFault(trust, voters, proof, leader);
    if (fault === undefined) return undefined;
  }
  return fault;
}

function findElectionFault(trust: Trust, at: Voters, proof: TermProof, leader: NodeKey): string | undefined {
  // The founder goes by the name under which it voted for itself.
  const named = (voters: readonly KeyOfVoter[]): NodeKey[] =>
    voters.map(({ node = leader.node, publicKey }) => ({ node, publicKey }));
  const sets = [named(at.voters), ...(at.outgoing === undefined ? [] : [named(at.outgoing)])];
  const isLeader = ({ node, publicKey }: NodeKey) => node === leader.node && publicKey === leader.publicKey;
  if (!sets.flat().some(isLeader)) return `${leader.node} is no voter, or has another key`;
  const { mesh, term, candidate } = proof;
  const hasVoted = ({ node, publicKey }: NodeKey) =>
    proof.votes.some(
      ({ voter, signature }) =>
        voter === node && trust.verify(publicKey, voteStatement({ mesh, term, candidate, voter }), signature),
    );
  for (const set of sets) {
    const votes = set.filter(hasVoted).length;
    if (votes < quorumSize(set.length)) return `${votes} of ${set.length} voters have signed`;
  }
  return undefined;
}

/**
 * The votes of a new leader as it shows them; its own, which never was in a message, is signed here. A vote without a
 * signature shows nothing.
 */
export function termProofOf(
  election: { readonly mesh: string; readonly term: number; readonly candidate: string },
  votes: readonly Vote[],
  sign: (statement: Uint8Array) => string,
): TermProof {
  const signed = votes.flatMap(({ voter, signature }) => {
    if (voter === election.candidate) return [{ voter, signature: sign(voteStatement({ ...election, voter })) }];
    return signature === undefined ? [] : [{ voter, signature: base64UrlOf(signature) }];
  });
  return { ...election, votes: signed };
}
