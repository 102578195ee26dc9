import {
  encode,
  type InboxMessage,
  jobEndPhases,
  type LeaderHint,
  type RecordIndex,
} from '@foremesh/node-runtime/contract';
import { committedTogether, type PlannerEffect } from '@foremesh/node-runtime/core';
import type { Published, VirtualConnection } from '../engine/broker.ts';
import type { Lifetime } from '../engine/machine.ts';
import type { World } from '../world.ts';
import { VirtualOutbox } from './outbox.ts';
import type { VirtualVoter } from './voter.ts';

export interface VirtualLeaderVoiceOptions {
  readonly world: World;
  readonly life: Lifetime;
  readonly bootId: string;
  readonly connection: () => Pick<VirtualConnection, 'publish'> | undefined;
  readonly voter: () => VirtualVoter;
  /** Why this one leads. */
  readonly claim: () => Pick<LeaderHint, 'publicKey' | 'proof' | 'chain'>;
  /** The node of a leader obeys it by the same proof as all others. */
  readonly onAnnounce: (hint: LeaderHint) => void;
}

const inboxGatherMs = 4;
const committedPatienceMs = 50;
const clearSpecsMs = 500;
const statePatienceMs = 20;

/** What a leader says over virtual MQTT, as `shell/voter/leader-voice.ts` does. */
export class VirtualLeaderVoice {
  readonly #options: VirtualLeaderVoiceOptions;
  #inboxes = new Map<string, VirtualOutbox<InboxMessage>>();
  readonly #specsToClear = new Set<string>();
  #clearing = false;
  /** Retained values that the broker has not acknowledged. */
  readonly #unacknowledged = new Map<string, Uint8Array>();
  /** Of these, the ones to be published in the next turn. */
  readonly #retained = new Set<string>();
  /** And the ones to be published a moment later, unless something newer comes. */
  readonly #patient = new Set<string>();

  constructor(options: VirtualLeaderVoiceOptions) {
    this.#options = options;
  }

  connected(): void {
    for (const [topic, payload] of this.#unacknowledged) this.#retain(topic, payload);
  }

  /** Another leads: what this one has not said yet is not said any more. */
  fallSilent(): void {
    for (const inbox of this.#inboxes.values()) inbox.close();
    this.#inboxes.clear();
    this.#specsToClear.clear();
    this.#unacknowledged.clear();
    this.#retained.clear();
    this.#patient.clear();
  }

  perform(effect: Exclude<PlannerEffect, { type: 'propose' }>): void {
    const { world, life, voter } = this.#options;
    const { topics } = world;
    switch (effect.type) {
      case 'send':
        world.checks.leaderSends(voter().state, effect.node, effect.message);
        this.#inbox(effect.node).push(effect.message);
        return;
      case 'announce':
        this.#announce({ v: 1, ...effect.hint, ...this.#options.claim() });
        return;
      case 'publish-state': {
        const { account, job, phase } = effect.state;
        const payload = encode(effect.state, 'json');
        if (phase === 'refused') this.#publish(topics.jobState(account, job), payload, { qos: 1 });
        else if (jobEndPhases.includes(phase)) this.#retain(topics.jobState(account, job), payload);
        else this.#retainPatiently(topics.jobState(account, job), payload);
        return;
      }
      case 'publish-result': {
        const { account, job } = effect.result;
        this.#retain(topics.jobResult(account, job), encode(effect.result, 'json'));
        return;
      }
      case 'clear-spec':
        this.#clearSpec(topics.jobSpec(effect.account, effect.job));
        return;
      case 'clear-job':
        this.#retain(topics.jobState(effect.account, effect.job), new Uint8Array());
        this.#retain(topics.jobResult(effect.account, effect.job), new Uint8Array());
        return;
      case 'clear-status':
        this.#retain(topics.nodeStatus(effect.node), new Uint8Array());
        return;
      case 'publish-forecast':
        world.checks.forecast(effect.forecast);
        this.#retain(topics.forecast(effect.forecast.node), encode(effect.forecast, 'json'));
        return;
      case 'clear-forecast':
        this.#retain(topics.forecast(effect.node), new Uint8Array());
        return;
      case 'index':
        this.#index(effect);
        return;
      case 'event':
        world.checks.leaderTells(voter().state, effect.event);
        this.#publish(topics.events(), encode({ v: 1, source: life.machine.id, ...effect.event }, 'json'), { qos: 0 });
    }
  }

  #announce(hint: LeaderHint): void {
    this.#options.onAnnounce(hint);
    this.#retain(this.#options.world.topics.leader(), encode(hint, 'json'));
  }

  #clearSpec(topic: string): void {
    this.#specsToClear.add(topic);
    if (this.#clearing) return;
    this.#clearing = true;
    this.#options.life.after(clearSpecsMs, () => {
      this.#clearing = false;
      for (const each of this.#specsToClear) this.#retain(each, new Uint8Array());
      this.#specsToClear.clear();
    });
  }

  #inbox(node: string): VirtualOutbox<InboxMessage> {
    const known = this.#inboxes.get(node);
    if (known !== undefined) return known;
    const { life, bootId, world, connection, voter } = this.#options;
    const topic = world.topics.nodeInbox(node);
    const inbox = new VirtualOutbox<InboxMessage>({
      life,
      bootId,
      term: () => voter().state.planner.term,
      publish: (payload) => {
        if (voter().leadsNow()) connection()?.publish(topic, payload, { qos: 1 });
      },
      gatherMs: inboxGatherMs,
      patienceMs: ({ type }) => (type === 'committed' ? committedPatienceMs : 0),
      tidy: committedTogether,
    });
    this.#inboxes.set(node, inbox);
    return inbox;
  }

  /** A holder says where records begin: one mark per record, some time later, now and then twice. */
  #index(effect: PlannerEffect & { type: 'index' }): void {
    const { account, job, stage, source, by } = effect;
    const { world, life, voter } = this.#options;
    const { chance } = life.machine;
    life.after(chance.between(1, 500), () => {
      const { blobs } = world;
      const reference =
        'inline' in source ? blobs.put(source.inline) : { blob: source.blob, sizeBytes: source.sizeBytes };
      const index = indexOf(blobs.numbers(reference).length, by);
      const answer = () => voter().feed({ type: 'indexed', account, job, stage, source: reference, index });
      answer();
      if (chance.percent(20)) answer();
    });
  }

  /** What is retained goes in the next turn, behind the assignments of this one, and once. */
  #retain(topic: string, payload: Uint8Array): void {
    this.#unacknowledged.set(topic, payload);
    this.#patient.delete(topic);
    this.#retained.add(topic);
    if (this.#retained.size === 1) this.#options.life.after(0, () => this.#publishRetained());
  }

  #retainPatiently(topic: string, payload: Uint8Array): void {
    this.#unacknowledged.set(topic, payload);
    this.#patient.add(topic);
    if (this.#patient.size > 1) return;
    this.#options.life.after(statePatienceMs, () => {
      for (const each of this.#patient) this.#retained.add(each);
      this.#patient.clear();
      this.#publishRetained();
    });
  }

  #publishRetained(): void {
    if (!this.#options.voter().leadsNow()) return;
    const topics = [...this.#retained];
    this.#retained.clear();
    for (const topic of topics) {
      const payload = this.#unacknowledged.get(topic);
      if (payload !== undefined) this.#publish(topic, payload, { qos: 1, retain: true });
    }
  }

  #publish(topic: string, payload: Uint8Array, options: Published): void {
    this.#options.connection()?.publish(topic, payload, options, () => {
      if (this.#unacknowledged.get(topic) === payload) this.#unacknowledged.delete(topic);
    });
  }
}

function indexOf(totalRecords: number, by: RecordIndex['by']): RecordIndex {
  const records = Array.from({ length: totalRecords }, (_, record) => record);
  return { by, totalRecords, endOffset: totalRecords * 10, records, offsets: records.map((record) => record * 10) };
}
