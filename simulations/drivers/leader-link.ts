import {
  decode,
  encode,
  type InboxMessage,
  nodeMetrics,
  nodeStatus,
  outboxEnvelope,
  type ParsedTopic,
  type RecordIndex,
} from '@foremesh/node-runtime/contract';
import { committedTogether, type PlannerEffect } from '@foremesh/node-runtime/core';
import type { Published, VirtualConnection } from '../engine/broker.ts';
import type { Lifetime } from '../engine/machine.ts';
import type { World } from '../world.ts';
import { VirtualOutbox } from './outbox.ts';
import { VirtualVoter } from './voter.ts';

export interface VirtualLeaderLinkOptions {
  readonly world: World;
  readonly life: Lifetime;
  readonly bootId: string;
  readonly connection: () => Pick<VirtualConnection, 'publish'> | undefined;
  readonly onElected: () => void;
  readonly onFatal: (error: Error) => void;
}

const tickMs = 250;
const inboxGatherMs = 4;
const committedPatienceMs = 50;
const clearSpecsMs = 500;

/** What a voter hears and says over virtual MQTT, as `shell/leader-link.ts` does. */
export class VirtualLeaderLink {
  readonly voter: VirtualVoter;
  readonly #options: VirtualLeaderLinkOptions;
  readonly #inboxes = new Map<string, VirtualOutbox<InboxMessage>>();
  readonly #intakes = new Set<string>();
  readonly #unacknowledged = new Map<string, Uint8Array>();
  /** Of these, the ones to be published in the next turn. */
  readonly #retained = new Set<string>();
  #elected = false;

  constructor(options: VirtualLeaderLinkOptions) {
    this.#options = options;
    this.voter = new VirtualVoter({ ...options, perform: (effect) => this.#perform(effect) });
  }

  start(): void {
    this.voter.start();
    this.#options.life.every(tickMs, () => this.voter.feed({ type: 'tick' }));
    this.#awaitElection();
  }

  /** Before it is elected the planner takes nothing: only then it listens. */
  #awaitElection(): void {
    if (this.voter.planner.leading && !this.#elected) {
      this.#elected = true;
      this.#options.onElected();
    } else this.#options.life.after(5, () => this.#awaitElection());
  }

  filters(): string[] {
    const { prefix } = this.#options.world.topics;
    const leaves = ['nodes/+/status', 'nodes/+/metrics', 'nodes/+/outbox', 'jobs/+/+/spec', 'jobs/+/+/cancel'];
    return leaves.map((leaf) => prefix + leaf);
  }

  connected(): void {
    for (const [topic, payload] of this.#unacknowledged) this.#publish(topic, payload, { qos: 1, retain: true });
    this.voter.feed({ type: 'connected' });
  }

  disconnected(): void {
    this.voter.feed({ type: 'disconnected' });
  }

  hear(parsed: ParsedTopic, payload: Uint8Array): void {
    if (payload.length === 0) return;
    switch (parsed.kind) {
      case 'status':
        this.voter.feed({ type: 'node-status', status: decode(nodeStatus, payload) });
        return;
      case 'metrics':
        this.voter.feed({ type: 'node-metrics', metrics: decode(nodeMetrics, payload) });
        return;
      case 'outbox': {
        const { from, bootId, messages } = decode(outboxEnvelope, payload);
        this.voter.feed({ type: 'node-reported', node: from, bootId, messages });
        return;
      }
      case 'spec':
        this.#takeSpec(parsed.account, parsed.job);
        return;
      case 'cancel':
        this.voter.feed({ type: 'cancel-requested', account: parsed.account, job: parsed.job, reason: 'enough' });
    }
  }

  /** Code and input become durable before the planner hears of a job; the same spec is not begun twice. */
  #takeSpec(account: string, job: string): void {
    const { world, life } = this.#options;
    const key = `${account}/${job}`;
    const virtual = world.jobs.get(key)!;
    const known = this.voter.planner.ledger.jobs.get(key);
    const submit = (plan = virtual.plan) => this.voter.feed({ type: 'submitted', account, job, specHash: job, plan });
    if (known !== undefined) {
      submit(known.plan);
      return;
    }
    if (this.#intakes.has(key)) return;
    this.#intakes.add(key);
    life.after(life.machine.chance.between(1, 300), () => {
      this.#intakes.delete(key);
      submit();
    });
  }

  #perform(effect: Exclude<PlannerEffect, { type: 'propose' }>): void {
    const { topics } = this.#options.world;
    const retained = { qos: 1, retain: true } as const;
    switch (effect.type) {
      case 'send':
        this.#options.world.checks.leaderSends(this.voter.planner, effect.node, effect.message);
        this.#inbox(effect.node).push(effect.message);
        return;
      case 'announce':
        this.#publish(topics.leader(), encode({ v: 1, ...effect.hint }, 'json'), retained);
        return;
      case 'publish-state': {
        const { account, job, phase } = effect.state;
        this.#publish(topics.jobState(account, job), encode(effect.state, 'json'), {
          qos: 1,
          retain: phase !== 'refused',
        });
        return;
      }
      case 'publish-result': {
        const { account, job } = effect.result;
        this.#publish(topics.jobResult(account, job), encode(effect.result, 'json'), retained);
        return;
      }
      case 'clear-spec': {
        const topic = topics.jobSpec(effect.account, effect.job);
        this.#options.life.after(clearSpecsMs, () => this.#publish(topic, new Uint8Array(), retained));
        return;
      }
      case 'clear-job':
        this.#publish(topics.jobState(effect.account, effect.job), new Uint8Array(), retained);
        this.#publish(topics.jobResult(effect.account, effect.job), new Uint8Array(), retained);
        return;
      case 'index':
        this.#index(effect);
        return;
      case 'event':
        this.#publish(
          topics.events(),
          encode({ v: 1, source: this.#options.life.machine.id, ...effect.event }, 'json'),
          { qos: 0 },
        );
    }
  }

  #inbox(node: string): VirtualOutbox<InboxMessage> {
    const known = this.#inboxes.get(node);
    if (known !== undefined) return known;
    const { life, bootId, world, connection } = this.#options;
    const topic = world.topics.nodeInbox(node);
    const inbox = new VirtualOutbox<InboxMessage>({
      life,
      bootId,
      term: () => this.voter.planner.term,
      publish: (payload) => connection()?.publish(topic, payload, { qos: 1 }),
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

  /** What is retained goes in the next turn, behind the assignments of this one, and once. */
  #publish(topic: string, payload: Uint8Array, options: Published): void {
    if (options.retain !== true) {
      this.#publishNow(topic, payload, options);
      return;
    }
    this.#unacknowledged.set(topic, payload);
    this.#retained.add(topic);
    if (this.#retained.size === 1) this.#options.life.after(0, () => this.#publishRetained());
  }

  #publishRetained(): void {
    const topics = [...this.#retained];
    this.#retained.clear();
    for (const topic of topics) {
      const payload = this.#unacknowledged.get(topic);
      if (payload !== undefined) this.#publishNow(topic, payload, { qos: 1, retain: true });
    }
  }

  #publishNow(topic: string, payload: Uint8Array, options: Published): void {
    this.#options.connection()?.publish(topic, payload, options, () => {
      if (this.#unacknowledged.get(topic) === payload) this.#unacknowledged.delete(topic);
    });
  }
}

function indexOf(totalRecords: number, by: RecordIndex['by']): RecordIndex {
  const records = Array.from({ length: totalRecords }, (_, record) => record);
  return { by, totalRecords, endOffset: totalRecords * 10, records, offsets: records.map((record) => record * 10) };
}
