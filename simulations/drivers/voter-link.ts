import {
  decode,
  type LeaderHint,
  nodeMetrics,
  nodeStatus,
  outboxEnvelope,
  type ParsedTopic,
  raftEnvelope,
  type TermProof,
  type VotersLink,
  votersStatement,
  voteStatement,
} from '@foremesh/node-runtime/contract';
import {
  isHeard,
  knownChain,
  knownKeyOf,
  type LedgerCommand,
  type RaftMessage,
  RaftWire,
  termProofOf,
  type VoterSettings,
} from '@foremesh/node-runtime/core';
import type { VirtualConnection } from '../engine/broker.ts';
import type { Lifetime } from '../engine/machine.ts';
import { meshId, publicKeyOf, sign, verify } from '../scenario/keys.ts';
import type { World } from '../world.ts';
import { pieceBytes } from '../world.ts';
import { VirtualLeaderVoice } from './leader-voice.ts';
import { VirtualSnapshotExchange } from './snapshot-exchange.ts';
import type { VirtualTrust } from './trust.ts';
import { type OutwardEffect, VirtualVoter } from './voter.ts';

export interface VirtualVoterLinkOptions {
  readonly world: World;
  readonly life: Lifetime;
  readonly bootId: string;
  readonly founders: readonly string[];
  /** What is said goes here; what is said to ourselves comes back. */
  readonly connection: () => Pick<VirtualConnection, 'publish'> | undefined;
  readonly subscriptions: () => Pick<VirtualConnection, 'subscribe' | 'unsubscribe'> | undefined;
  readonly trust: Pick<VirtualTrust, 'keyOf' | 'links' | 'learn'>;
  readonly onAnnounce: (hint: LeaderHint) => void;
  readonly onFatal: (error: Error) => void;
}

/** What a voter hears and says over virtual MQTT, as `shell/voter/voter-link.ts` does. */
export class VirtualVoterLink {
  readonly voter: VirtualVoter;
  readonly #options: VirtualVoterLinkOptions;
  readonly #wire: RaftWire;
  readonly #voice: VirtualLeaderVoice;
  readonly #snapshots: VirtualSnapshotExchange;
  #proof: TermProof | undefined;
  readonly #intakes = new Set<string>();
  /** Cancelled while their code and input were made durable. */
  readonly #cancelled = new Set<string>();

  constructor(options: VirtualVoterLinkOptions) {
    const { life, bootId } = options;
    this.#options = options;
    this.#wire = new RaftWire(bootId, pieceBytes);
    this.#voice = new VirtualLeaderVoice({ ...options, voter: () => this.voter, claim: () => this.#claim() });
    this.#snapshots = new VirtualSnapshotExchange({
      life,
      send: (to, content) => this.#publishRaft(to, this.#wire.payloadOf(content)),
      read: () => this.voter.readSnapshot(),
      feed: (event) => this.voter.feed(event),
    });
    this.voter = new VirtualVoter({
      ...options,
      perform: (effect) => this.#perform(effect),
      sendRaft: (to, message) => {
        const chain = () => knownChain(this.voter.state, options.trust.links);
        for (const payload of this.#wire.payloadsOf(this.#signVote(to, message), chain)) this.#publishRaft(to, payload);
      },
      fetchSnapshot: (from, index, term) => this.#snapshots.fetch(from, index, term),
    });
  }

  /** What it subscribes to when it connects. */
  filters(): string[] {
    const { prefix } = this.#options.world.topics;
    const always = ['nodes/+/status', 'jobs/+/+/spec'].map((leaf) => prefix + leaf);
    return this.voter.isElected ? [...always, ...this.#leaderFilters()] : always;
  }

  #leaderFilters(): string[] {
    const { prefix } = this.#options.world.topics;
    return ['nodes/+/metrics', 'nodes/+/outbox', 'jobs/+/+/cancel'].map((leaf) => prefix + leaf);
  }

  remindWhoLeads(): void {
    this.voter.feed({ type: 'stranger-heard' });
  }

  connected(): void {
    this.#voice.connected();
    this.voter.feed({ type: 'connected' });
  }

  disconnected(): void {
    this.voter.feed({ type: 'disconnected' });
  }

  /** A person asks whoever leads. */
  want(settings: VoterSettings): void {
    this.#options.life.wrap(() => this.voter.feed({ type: 'voters-wanted', settings }))();
  }

  hear(parsed: ParsedTopic, payload: Uint8Array): void {
    switch (parsed.kind) {
      case 'raft':
        if (!this.#isHeard(parsed.from)) this.#options.trust.learn(decode(raftEnvelope, payload).chain ?? []);
        if (this.#isKnown(parsed.from) && this.#isHeard(parsed.from)) this.#hearRaft(parsed.from, payload);
        return;
      case 'status': {
        if (payload.length === 0) return;
        const status = decode(nodeStatus, payload);
        if (!status.online && status.node === this.voter.state.raft.leader)
          this.voter.feed({ type: 'suspected', node: status.node });
        this.voter.feed({ type: 'status-heard', status, admitted: true });
        return;
      }
      case 'metrics':
        if (this.#isKnown(parsed.node))
          this.voter.feed({ type: 'node-metrics', metrics: decode(nodeMetrics, payload) });
        return;
      case 'outbox': {
        const { from, bootId, messages } = decode(outboxEnvelope, payload);
        if (this.#isKnown(from)) this.voter.feed({ type: 'node-reported', node: from, bootId, messages });
        return;
      }
      case 'spec': {
        const { account, job } = parsed;
        if (payload.length === 0) this.voter.feed({ type: 'spec-cleared', account, job });
        else this.voter.feed({ type: 'spec-heard', account, job, specHash: job, payload });
        return;
      }
      case 'cancel':
        this.#cancel(parsed.account, parsed.job);
    }
  }

  #hearRaft(from: string, payload: Uint8Array): void {
    const envelope = decode(raftEnvelope, payload);
    const { content } = envelope;
    if (content.kind === 'voters') this.#hearVoters(content.link);
    else if (content.kind === 'snapshot-ask') this.#snapshots.serve(from, content);
    else if (content.kind === 'snapshot-chunk') this.#snapshots.hear(from, content);
    else {
      const message = this.#wire.messageOf(from, envelope);
      if (message !== undefined && this.#isSignedVote(from, message))
        this.voter.feed({ type: 'raft-received', from, message });
    }
  }

  #isHeard(node: string): boolean {
    return isHeard(this.voter.state, node, this.#options.trust.keyOf(node) !== undefined);
  }

  /** Nodes are known by the log, and voters, until we have it, by the proof of their leader. */
  #keyOf(node: string): string | undefined {
    return knownKeyOf(this.voter.state, node) ?? this.#options.trust.keyOf(node);
  }

  #isKnown(node: string): boolean {
    if (this.#keyOf(node) !== undefined) return true;
    this.voter.feed({ type: 'stranger-heard' });
    return false;
  }

  /** A vote that cannot be shown to others is none. */
  #isSignedVote(from: string, message: RaftMessage<LedgerCommand>): boolean {
    if (message.type !== 'vote-answer' || !message.granted) return true;
    const key = this.#keyOf(from);
    if (key === undefined || message.signature === undefined) return false;
    const candidate = this.#options.life.machine.id;
    const statement = voteStatement({ mesh: meshId, term: message.term, candidate, voter: from });
    return verify(key, statement, Buffer.from(message.signature).toString('base64url'));
  }

  #signVote(to: string, message: RaftMessage<LedgerCommand>): RaftMessage<LedgerCommand> {
    if (message.type !== 'vote-answer' || !message.granted) return message;
    const { id } = this.#options.life.machine;
    const statement = voteStatement({ mesh: meshId, term: message.term, candidate: to, voter: id });
    return { ...message, signature: Buffer.from(sign(publicKeyOf(id), statement), 'base64url') };
  }

  #hearVoters(link: VotersLink): void {
    if (verify(link.signer, votersStatement(meshId, link), link.signature))
      this.voter.feed({ type: 'voters-certified', link });
  }

  /** Committed voters, signed by this one: into the log, by whoever leads. */
  #certify({ to, link }: OutwardEffect & { type: 'certify-voters' }): void {
    const { id } = this.#options.life.machine;
    const signer = publicKeyOf(id);
    const signed = { ...link, signer, signature: sign(signer, votersStatement(meshId, link)) };
    if (to === id) this.voter.feed({ type: 'voters-certified', link: signed });
    else this.#publishRaft(to, this.#wire.payloadOf({ kind: 'voters', link: signed }));
  }

  #claim(): Pick<LeaderHint, 'publicKey' | 'proof' | 'chain'> {
    const publicKey = publicKeyOf(this.#options.life.machine.id);
    return { publicKey, chain: [...this.voter.state.ledger.votersChain], proof: this.#proof! };
  }

  #publishRaft(to: string, payload: Uint8Array): void {
    const { connection, world, life } = this.#options;
    connection()?.publish(world.topics.raft(to, life.machine.id), payload, { qos: 0 });
  }

  #cancel(account: string, job: string): void {
    const key = `${account}/${job}`;
    if (this.#intakes.has(key)) this.#cancelled.add(key);
    this.voter.feed({ type: 'cancel-requested', account, job, reason: 'enough' });
  }

  #perform(effect: OutwardEffect): void {
    switch (effect.type) {
      case 'role-changed':
        this.#changeRole(effect);
        return;
      case 'certify-voters':
        this.#certify(effect);
        return;
      case 'take-spec':
        this.#takeSpec(effect.account, effect.job);
        return;
      default:
        this.#voice.perform(effect);
    }
  }

  /** Subscriptions go out before the first word of a leader, on the same connection: what is said in answer is heard. */
  #changeRole({ role, term, votes = [] }: OutwardEffect & { type: 'role-changed' }): void {
    const { world, life, subscriptions } = this.#options;
    const { id: candidate } = life.machine;
    this.#proof =
      role === 'leader'
        ? termProofOf({ mesh: meshId, term, candidate }, votes, (statement) => sign(publicKeyOf(candidate), statement))
        : undefined;
    if (role === 'leader') {
      subscriptions()?.subscribe(this.#leaderFilters(), () => {});
      world.elected(life.machine.id);
    } else {
      this.#voice.fallSilent();
      subscriptions()?.unsubscribe(this.#leaderFilters());
    }
  }

  /** Code and input become durable before the planner hears of a job; the same spec is not begun twice. */
  #takeSpec(account: string, job: string): void {
    const { world, life } = this.#options;
    const key = `${account}/${job}`;
    if (this.#intakes.has(key)) return;
    this.#intakes.add(key);
    life.after(life.machine.chance.between(1, 300), () => {
      this.#intakes.delete(key);
      const { plan } = world.jobs.get(key)!;
      this.voter.feed({ type: 'submitted', account, job, specHash: job, plan });
      if (this.#cancelled.delete(key)) this.voter.feed({ type: 'cancel-requested', account, job, reason: 'enough' });
    });
  }
}
