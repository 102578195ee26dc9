import {
  type Assign,
  encode,
  encodeCbor,
  type InboxMessage,
  jobEndPhases,
  type LeaderHint,
  limits,
  type MeshEvent,
  type Topics,
} from '../contract/index.ts';
import { committedTogether, type PlannerEffect } from '../core/index.ts';
import { Outbox } from './outbox.ts';
import { type Publish, RetainedValues } from './retained-values.ts';
import type { Timer, Timers } from './timers.ts';

export type LeaderClaim = Pick<LeaderHint, 'publicKey' | 'proof' | 'chain'>;

/** What a planner wants said, and what only a host can do for it: to find the records of an input. */
export type SpokenEffect = Exclude<PlannerEffect, { type: 'propose' | 'index' }>;

export interface LeaderVoiceOptions {
  readonly id: string;
  readonly bootId: string;
  readonly topics: Topics;
  readonly timers: Timers;
  readonly publish: Publish;
  readonly term: () => number;
  /** Whether this one may speak as the leader at this moment. */
  readonly leadsNow: () => boolean;
  /** What shows that this node leads, for its hints. */
  readonly claim: () => LeaderClaim;
  /** Hears our own announcements at once: the node of a leader obeys it by the same proof as all others. */
  readonly onAnnounce: (hint: LeaderHint) => void;
  /** A description too large for a message becomes a blob; undefined when that fails: the node's next inventory makes the task ready again. */
  readonly spill: (assign: Assign) => Promise<Assign | undefined>;
  /** A message that fits no envelope. */
  readonly onProblem: (node: string, error: unknown) => void;
}

const clearSpecsMs = 500;
/** Messages to a node that follow each other faster than this go together. */
const inboxGatherMs = 4;
/** A node can wait to forget an outcome: it goes with the next assignment. */
const committedPatienceMs = 50;
/** How a job stands is news only when it does not end at once. */
const statePatienceMs = 20;

/** What a leader says: assignments to nodes, states and results to clients. */
export class LeaderVoice {
  readonly #options: LeaderVoiceOptions;
  readonly #inboxes = new Map<string, Outbox<InboxMessage>>();
  readonly #retained: RetainedValues;
  readonly #specsToClear = new Set<string>();
  #clearing: Timer | undefined;

  constructor(options: LeaderVoiceOptions) {
    this.#options = options;
    const { timers, publish, leadsNow: maySpeak } = options;
    this.#retained = new RetainedValues({ timers, publish, maySpeak, patienceMs: statePatienceMs });
  }

  connected(): void {
    this.#retained.connected();
  }

  /** Another leads: what this one has not said yet is not said any more. */
  fallSilent(): void {
    for (const inbox of this.#inboxes.values()) inbox.close();
    this.#inboxes.clear();
    this.#specsToClear.clear();
    this.#retained.forget();
  }

  perform(effect: SpokenEffect): void {
    const { id, topics } = this.#options;
    switch (effect.type) {
      case 'send':
        this.#send(effect.node, effect.message);
        return;
      case 'announce':
        this.#announce({ v: 1, ...effect.hint, ...this.#options.claim() });
        return;
      case 'publish-state': {
        const { account, job, phase } = effect.state;
        const payload = encode(effect.state, 'json');
        if (phase === 'refused') this.say(topics.jobState(account, job), payload);
        else if (jobEndPhases.includes(phase)) this.#retained.set(topics.jobState(account, job), payload);
        else this.#retained.setPatiently(topics.jobState(account, job), payload);
        return;
      }
      case 'publish-result': {
        const { account, job } = effect.result;
        this.#retained.set(topics.jobResult(account, job), encode(effect.result, 'json'));
        return;
      }
      case 'clear-spec':
        this.clearSpec(effect.account, effect.job);
        return;
      case 'clear-job':
        this.#retained.clear(topics.jobState(effect.account, effect.job));
        this.#retained.clear(topics.jobResult(effect.account, effect.job));
        return;
      case 'clear-status':
        this.#retained.clear(topics.nodeStatus(effect.node));
        return;
      case 'publish-forecast':
        this.#retained.set(topics.forecast(effect.forecast.node), encode(effect.forecast, 'json'));
        return;
      case 'clear-forecast':
        this.#retained.clear(topics.forecast(effect.node));
        return;
      case 'event':
        this.tell({ v: 1, source: id, ...effect.event });
    }
  }

  #announce(hint: LeaderHint): void {
    this.#options.onAnnounce(hint);
    this.#retained.set(this.#options.topics.leader(), encode(hint, 'json', limits.sealBytes));
  }

  /** Nobody waits for it: later, in one go with others. A leader that dies before it clears them when they come again. */
  clearSpec(account: string, job: string): void {
    this.#specsToClear.add(this.#options.topics.jobSpec(account, job));
    this.#clearing ??= this.#options.timers.after(clearSpecsMs, () => {
      this.#clearing = undefined;
      for (const topic of this.#specsToClear) this.#retained.clear(topic);
      this.#specsToClear.clear();
    });
  }

  #send(node: string, message: InboxMessage): void {
    if (message.type === 'assign' && encodeCbor(message.input).length > limits.inlineAssignBytes)
      void this.#sendSpilled(node, message);
    // Nothing is kept of those that are refused: names can be made up.
    else (message.type === 'refused' ? this.#makeInbox(node) : this.#inbox(node)).push(message);
  }

  async #sendSpilled(node: string, message: Assign): Promise<void> {
    const inbox = this.#inbox(node);
    const spilled = await this.#options.spill(message);
    if (spilled !== undefined) inbox.push(spilled);
  }

  #inbox(node: string): Outbox<InboxMessage> {
    const known = this.#inboxes.get(node);
    if (known !== undefined) return known;
    const inbox = this.#makeInbox(node);
    this.#inboxes.set(node, inbox);
    return inbox;
  }

  #makeInbox(node: string): Outbox<InboxMessage> {
    const { id: from, bootId, timers, term, topics, publish, leadsNow, onProblem } = this.#options;
    const topic = topics.nodeInbox(node);
    return new Outbox<InboxMessage>({
      from,
      bootId,
      timers,
      term,
      publish: (payload) => {
        if (leadsNow()) publish(topic, payload, { qos: 1 });
      },
      onProblem: (error) => onProblem(node, error),
      gatherMs: inboxGatherMs,
      patienceMs: ({ type }) => (type === 'committed' ? committedPatienceMs : 0),
      tidy: committedTogether,
    });
  }

  /** To whoever listens right now. */
  tell(event: MeshEvent): void {
    this.#options.publish(this.#options.topics.events(), encode(event, 'json'), { qos: 0 });
  }

  /** To one that waits for it right now. */
  say(topic: string, payload: Uint8Array): void {
    this.#options.publish(topic, payload, { qos: 1 });
  }

  close(): void {
    this.#clearing?.cancel();
    this.fallSilent();
  }
}
