import { generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import { type NodeKey, type VotersLink, votersStatement, voteStatement } from '@foremesh/node-runtime/contract';
import {
  applyCommand,
  type Claim,
  createLedger,
  createTrust,
  quorumSize,
  type Trust,
  type TrustRecord,
  termProofOf,
  type Vote,
} from '@foremesh/node-runtime/core';
import fc from 'fast-check';

interface Person extends NodeKey {
  readonly privateKey: KeyObject;
}

export const people: readonly Person[] = ['ada', 'bob', 'cyd', 'dan', 'eva', 'fay', 'gus'].map((node) => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return { node, publicKey: publicKey.export({ format: 'jwk' }).x!, privateKey };
});
const founder = people[0]!;
export const meshId = founder.publicKey;

const personOf = (node: string): Person => people.find((person) => person.node === node)!;
const keyOf = ({ node, publicKey }: Person): NodeKey => ({ node, publicKey });

function signed(by: Person, statement: Uint8Array): Buffer {
  return sign(null, statement, by.privateKey);
}

/** The same question has the same answer: histories are looked at after each step. */
const answers = new Map<string, boolean>();

function verifies(publicKey: string, statement: Uint8Array, signature: string): boolean {
  const question = `${publicKey} ${signature} ${Buffer.from(statement).toString('latin1')}`;
  const answer = answers.get(question) ?? verifiesAnew(publicKey, statement, signature);
  answers.set(question, answer);
  return answer;
}

function verifiesAnew(publicKey: string, statement: Uint8Array, signature: string): boolean {
  try {
    const key = { key: { kty: 'OKP', crv: 'Ed25519', x: publicKey }, format: 'jwk' as const };
    return verify(null, statement, key, Buffer.from(signature, 'base64url'));
  } catch {
    return false;
  }
}

export function newTrust(record?: TrustRecord): Trust {
  return createTrust(meshId, verifies, record);
}

interface Voters {
  readonly voters: readonly string[];
  readonly outgoing?: readonly string[];
}

/** Signed as if it were by who may. */
export function linkBy(signer: Person, index: number, term: number, { voters, outgoing }: Voters): VotersLink {
  const keys = (nodes: readonly string[]) => nodes.map((node) => keyOf(personOf(node)));
  const unsigned = {
    index,
    term,
    voters: keys(voters),
    ...(outgoing === undefined ? {} : { outgoing: keys(outgoing) }),
  };
  const signature = signed(signer, votersStatement(meshId, unsigned)).toString('base64url');
  return { ...unsigned, signer: signer.publicKey, signature };
}

export type Happening =
  /** A new leader; it may not have an entry that is not committed. */
  | { readonly kind: 'elect'; readonly candidate: number; readonly voters: number; readonly losesEntry: boolean }
  | { readonly kind: 'propose'; readonly voters: readonly number[] }
  | { readonly kind: 'commit' };

export const histories: fc.Arbitrary<Happening[]> = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('elect' as const), candidate: fc.nat(), voters: fc.nat(), losesEntry: fc.boolean() }),
    fc.record({
      kind: fc.constant('propose' as const),
      voters: fc.uniqueArray(fc.nat(people.length - 1), { minLength: 1, maxLength: 5 }),
    }),
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('commit' as const) }) },
  ),
  { maxLength: 40, size: 'max' },
);

/** Votes and changes of voters as Raft allows them, with honest voters. */
export class History {
  term = 0;
  readonly ledger = createLedger();
  #index = 1;
  #committed: Voters = { voters: [founder.node] };
  #pending: Voters | undefined;
  /** Who elected the leader, and whether that entry was committed by now. */
  #electors: { voters: Voters; certified: boolean } | undefined;
  leader: Person = founder;
  #votes: Vote[] = [];

  constructor() {
    this.#elect(this.#committed, 0, 0);
  }

  happen(what: Happening): void {
    if (what.kind === 'elect') {
      if (what.losesEntry) this.#pending = undefined;
      this.#elect(this.#pending ?? this.#committed, what.candidate, what.voters);
    } else if (what.kind === 'propose') this.#propose(what.voters.map((at) => people[at]!.node));
    else this.#commit();
  }

  #elect(among: Voters, candidate: number, spare: number): void {
    const sets = among.outgoing === undefined ? [among.voters] : [among.voters, among.outgoing];
    const all = [...new Set(sets.flat())];
    this.term += 1 + (spare % 3);
    this.leader = personOf(all[candidate % all.length]!);
    const isQuorum = (votes: readonly string[]) =>
      sets.every((set) => set.filter((each) => votes.includes(each)).length >= quorumSize(set.length));
    const votes = [...all];
    // As few as will do: those in front leave as long as it is a quorum without them.
    for (const each of all.slice(spare % all.length)) {
      const others = votes.filter((voter) => voter !== each);
      if (each !== this.leader.node && isQuorum(others)) votes.splice(votes.indexOf(each), 1);
    }
    this.#votes = votes.map((voter) => this.#vote(voter, this.leader.node));
    this.#electors = { voters: among, certified: among === this.#committed };
  }

  #vote(voter: string, candidate: string) {
    const statement = voteStatement({ mesh: meshId, term: this.term, candidate, voter });
    return { voter, signature: signed(personOf(voter), statement) };
  }

  #propose(voters: readonly string[]): void {
    if (this.#pending !== undefined) return;
    const { voters: now, outgoing } = this.#committed;
    this.#pending = outgoing === undefined ? { voters, outgoing: now } : { voters: now };
  }

  #commit(): void {
    if (this.#pending === undefined) return;
    const before = [...this.#committed.voters, ...(this.#committed.outgoing ?? [])];
    const signer = before.includes(this.leader.node) ? this.leader : personOf(before[0]!);
    const { voters, outgoing } = this.#pending;
    this.#index += 1;
    const link = linkBy(signer, this.#index, this.term, this.#pending);
    const [event] = applyCommand(this.ledger, { type: 'certify-voters', link });
    if (event!.type !== 'voters-certified') throw new Error(JSON.stringify(event));
    if (this.#electors?.voters === this.#pending) this.#electors.certified = true;
    this.#committed = this.#pending;
    this.#pending = undefined;
    // A leader that votes no more steps down once that is committed.
    if (![...voters, ...(outgoing ?? [])].includes(this.leader.node)) this.#elect(this.#committed, 0, 0);
  }

  /** Whether everybody can see that the leader leads: its electors are in the chain. */
  get shows(): boolean {
    return this.#electors?.certified === true;
  }

  claim(): Claim {
    return this.#claimOf(this.term, this.leader, this.#votes, meshId);
  }

  /** The voters, when no change is under way: then fewer votes are too few for anybody. */
  get votersAtRest(): readonly string[] | undefined {
    const sole = this.#pending === undefined && this.#committed.outgoing === undefined;
    return sole ? this.#committed.voters : undefined;
  }

  /** The votes of some, for one of them, in the next term. */
  nextClaim(voters: readonly string[], candidate: string, mesh = meshId): Claim {
    const term = this.term + 1;
    const votes = voters.map((voter) => ({
      voter,
      signature: signed(personOf(voter), voteStatement({ mesh, term, candidate, voter })),
    }));
    return this.#claimOf(term, personOf(candidate), votes, mesh);
  }

  #claimOf(term: number, leader: Person, votes: readonly Vote[], mesh: string): Claim {
    const sign = (statement: Uint8Array) => signed(leader, statement).toString('base64url');
    const proof = termProofOf({ mesh, term, candidate: leader.node }, votes, sign);
    return { proof, chain: this.ledger.votersChain, leader: keyOf(leader) };
  }
}
