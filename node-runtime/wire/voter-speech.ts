import {
  base64UrlOf,
  bytesOfBase64Url,
  type RaftEnvelope,
  type TermProof,
  type VotersLink,
  votersStatement,
  voteStatement,
} from '../contract/index.ts';
import {
  type LedgerCommand,
  type RaftMessage,
  RaftWire,
  termProofOf,
  type Verify,
  type VoterEffect,
  type VoterEvent,
} from '../core/index.ts';
import { SnapshotExchange, type SnapshotExchangeOptions } from './snapshot-exchange.ts';
import type { Timers } from './timers.ts';

export interface VoterSpeechOptions extends Pick<SnapshotExchangeOptions, 'read' | 'sha256' | 'onProblem'> {
  readonly id: string;
  readonly bootId: string;
  readonly meshId: string;
  readonly publicKey: string;
  readonly timers: Timers;
  /** For statements of the contract: a vote, a link of voters. */
  readonly sign: (statement: Uint8Array) => string;
  readonly verify: Verify;
  /** The key of a node, as far as it is known here. */
  readonly keyOf: (node: string) => string | undefined;
  /** How the voters came to be who they are: shown with a question for a vote. */
  readonly chain: () => readonly VotersLink[];
  /** To another voter. What is lost is sent again by the protocol itself. */
  readonly publish: (to: string, payload: Uint8Array) => void;
  readonly feed: (event: VoterEvent) => void;
  /** What is larger comes in parts. */
  readonly partBytes?: number;
}

/** What voters say to each other: messages of Raft with signed votes, links of voters, snapshots in chunks. */
export class VoterSpeech {
  readonly #options: VoterSpeechOptions;
  readonly #wire: RaftWire;
  readonly #snapshots: SnapshotExchange;

  constructor(options: VoterSpeechOptions) {
    const { bootId, partBytes, publish } = options;
    this.#options = options;
    this.#wire = new RaftWire(bootId, partBytes);
    this.#snapshots = new SnapshotExchange({
      ...options,
      ...(partBytes === undefined ? {} : { chunkBytes: partBytes }),
      send: (to, content) => publish(to, this.#wire.payloadOf(content)),
    });
  }

  send(to: string, message: RaftMessage<LedgerCommand>): void {
    const { chain, publish } = this.#options;
    for (const payload of this.#wire.payloadsOf(this.#signed(to, message), chain)) publish(to, payload);
  }

  fetchSnapshot(from: string, index: number, term: number): void {
    this.#snapshots.fetch(from, index, term);
  }

  /** Of a sender that is known. Throws what decoding throws. */
  hear(from: string, envelope: RaftEnvelope): void {
    const { content } = envelope;
    if (content.kind === 'voters') this.#hearVoters(content.link);
    else if (content.kind === 'snapshot-ask') this.#snapshots.serve(from, content);
    else if (content.kind === 'snapshot-chunk') this.#snapshots.hear(from, content);
    else {
      const message = this.#wire.messageOf(from, envelope);
      if (message !== undefined && this.#isSignedVote(from, message))
        this.#options.feed({ type: 'raft-received', from, message });
    }
  }

  /** A vote that cannot be shown to others is none. */
  #isSignedVote(from: string, message: RaftMessage<LedgerCommand>): boolean {
    if (message.type !== 'vote-answer' || !message.granted) return true;
    const { id, meshId, keyOf, verify } = this.#options;
    const key = keyOf(from);
    if (key === undefined || message.signature === undefined) return false;
    const statement = voteStatement({ mesh: meshId, term: message.term, candidate: id, voter: from });
    return verify(key, statement, base64UrlOf(message.signature));
  }

  #signed(to: string, message: RaftMessage<LedgerCommand>): RaftMessage<LedgerCommand> {
    if (message.type !== 'vote-answer' || !message.granted) return message;
    const { id, meshId, sign } = this.#options;
    const statement = voteStatement({ mesh: meshId, term: message.term, candidate: to, voter: id });
    return { ...message, signature: bytesOfBase64Url(sign(statement)) };
  }

  #hearVoters(link: VotersLink): void {
    const { meshId, verify, feed } = this.#options;
    if (verify(link.signer, votersStatement(meshId, link), link.signature)) feed({ type: 'voters-certified', link });
  }

  /** Committed voters, signed by this one: into the log, by whoever leads. */
  certify({ to, link }: VoterEffect & { type: 'certify-voters' }): void {
    const { id, meshId, publicKey, sign, feed, publish } = this.#options;
    const signed = { ...link, signer: publicKey, signature: sign(votersStatement(meshId, link)) };
    if (to === id) feed({ type: 'voters-certified', link: signed });
    else publish(to, this.#wire.payloadOf({ kind: 'voters', link: signed }));
  }

  /** The votes that elected this one. */
  proofOf({ term, votes = [] }: VoterEffect & { type: 'role-changed' }): TermProof {
    const { id: candidate, meshId: mesh, sign } = this.#options;
    return termProofOf({ mesh, term, candidate }, votes, sign);
  }

  close(): void {
    this.#snapshots.close();
  }
}
