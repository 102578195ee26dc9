import {
  decode,
  type LeaderHint,
  nodeMetrics,
  nodeStatus,
  outboxEnvelope,
  type ParsedTopic,
  type RecordIndex,
  raftEnvelope,
  type TermProof,
} from '@foremesh/node-runtime/contract';
import { isHeard, knownChain, knownKeyOf, type PlannerEffect, type VoterSettings } from '@foremesh/node-runtime/core';
import { type LeaderClaim, LeaderVoice, type Publish, VoterSpeech } from '@foremesh/node-runtime/wire';
import type { VirtualConnection } from '../engine/broker.ts';
import type { Lifetime } from '../engine/machine.ts';
import { meshId, publicKeyOf, sha256, sign, verify } from '../scenario/keys.ts';

import type { World } from '../world.ts';
import { pieceBytes, raise } from '../world.ts';
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
  readonly #voice: LeaderVoice;
  readonly #speech: VoterSpeech;
  #proof: TermProof | undefined;
  readonly #intakes = new Set<string>();
  /** Cancelled while their code and input were made durable. */
  readonly #cancelled = new Set<string>();

  constructor(options: VirtualVoterLinkOptions) {
    const { world, life, connection, trust } = options;
    const { id } = life.machine;
    const publicKey = publicKeyOf(id);
    this.#options = options;
    const publish: Publish = (...published) => connection()?.publish(...published);
    this.#voice = new LeaderVoice({
      ...options,
      id,
      topics: world.topics,
      timers: life.timers,
      publish,
      term: () => this.voter.state.planner.term,
      leadsNow: () => this.voter.leadsNow(),
      claim: () => this.#claim(),
      spill: ({ attempt }) => raise(new Error(`${attempt} does not fit in a message`)),
      onProblem: (_, error) => raise(error),
    });
    this.#speech = new VoterSpeech({
      ...options,
      id,
      meshId,
      publicKey,
      timers: life.timers,
      sign: (statement) => sign(publicKey, statement),
      verify,
      sha256,
      keyOf: (node) => this.#keyOf(node),
      chain: () => knownChain(this.voter.state, trust.links),
      publish: (to, payload) => publish(world.topics.raft(to, id), payload, { qos: 0 }),
      read: (take) => take(this.voter.readSnapshot()),
      feed: (event) => this.voter.feed(event),
      onProblem: (text) => world.trace.say(world.time.nowMs, `${id}: ${text}`),
      partBytes: pieceBytes,
    });
    this.voter = new VirtualVoter({
      ...options,
      perform: (effect) => this.#perform(effect),
      sendRaft: (to, message) => this.#speech.send(to, message),
      fetchSnapshot: (from, index, term) => this.#speech.fetchSnapshot(from, index, term),
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
        if (this.#isKnown(parsed.from) && this.#isHeard(parsed.from))
          this.#speech.hear(parsed.from, decode(raftEnvelope, payload));
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

  #claim(): LeaderClaim {
    const publicKey = publicKeyOf(this.#options.life.machine.id);
    return { publicKey, chain: [...this.voter.state.ledger.votersChain], proof: this.#proof! };
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
        this.#speech.certify(effect);
        return;
      case 'take-spec':
        this.#takeSpec(effect.account, effect.job);
        return;
      case 'index':
        this.#index(effect);
        return;
      default:
        this.#show(effect);
        this.#voice.perform(effect);
    }
  }

  /** What is checked before it is said. */
  #show(effect: PlannerEffect): void {
    const { checks } = this.#options.world;
    if (effect.type === 'send') checks.leaderSends(this.voter.state, effect.node, effect.message);
    else if (effect.type === 'publish-forecast') checks.forecast(effect.forecast);
    else if (effect.type === 'event') checks.leaderTells(this.voter.state, effect.event);
  }

  /** Subscriptions go out before the first word of a leader, on the same connection: what is said in answer is heard. */
  #changeRole(effect: OutwardEffect & { type: 'role-changed' }): void {
    const { world, life, subscriptions } = this.#options;
    const { role } = effect;
    this.#proof = role === 'leader' ? this.#speech.proofOf(effect) : undefined;
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

  /** A holder says where records begin: one mark per record, some time later, now and then twice. */
  #index({ account, job, stage, source, by }: PlannerEffect & { type: 'index' }): void {
    const { world, life } = this.#options;
    const { chance } = life.machine;
    life.after(chance.between(1, 500), () => {
      const { blobs } = world;
      const reference =
        'inline' in source ? blobs.put(source.inline) : { blob: source.blob, sizeBytes: source.sizeBytes };
      const index = indexOf(blobs.numbers(reference).length, by);
      const answer = () => this.voter.feed({ type: 'indexed', account, job, stage, source: reference, index });
      answer();
      if (chance.percent(20)) answer();
    });
  }
}

function indexOf(totalRecords: number, by: RecordIndex['by']): RecordIndex {
  const records = Array.from({ length: totalRecords }, (_, record) => record);
  return { by, totalRecords, endOffset: totalRecords * 10, records, offsets: records.map((record) => record * 10) };
}
