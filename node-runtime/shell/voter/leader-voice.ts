import { blockIndex } from '@foremesh/partitioner';
import type { Logger } from 'pino';
import {
  type Assign,
  asMeshError,
  encode,
  encodeCbor,
  type InboxEnvelope,
  type InboxMessage,
  jobEndPhases,
  type LeaderHint,
  limits,
  MeshError,
  type MeshEvent,
  type Problem,
  type RecordIndex,
  type Topics,
} from '../../contract/index.ts';
import { committedTogether, type PlannerEffect } from '../../core/index.ts';
import type { BlobClient } from '../../data/index.ts';
import { Outbox } from '../outbox.ts';
import type { Publisher } from '../shortcut.ts';
import type { Voter } from './voter.ts';

export type LeaderClaim = Pick<LeaderHint, 'publicKey' | 'proof' | 'chain'>;

export interface LeaderVoiceOptions {
  readonly id: string;
  readonly bootId: string;
  readonly topics: Topics;
  readonly blobs: BlobClient;
  readonly transport: () => Publisher | undefined;
  readonly voter: () => Voter;
  /** What shows that this node leads, for its hints. */
  readonly claim: () => LeaderClaim;
  /** Hears our own announcements at once: the node of a leader obeys it by the same proof as all others. */
  readonly onAnnounce: (hint: LeaderHint) => void;
  readonly log: Logger;
}

const clearSpecsMs = 500;
/** Messages to a node that follow each other faster than this go together. */
const inboxGatherMs = 4;
/** A node can wait to forget an outcome: it goes with the next assignment. */
const committedPatienceMs = 50;
/** How a job stands is news only when it does not end at once. */
const statePatienceMs = 20;

/** What a leader says: assignments to nodes, states and results to clients; and what it asks of holders for its planner. */
export class LeaderVoice {
  readonly #options: LeaderVoiceOptions;
  readonly #inboxes = new Map<string, Outbox<InboxMessage>>();
  readonly #specsToClear = new Set<string>();
  #clearing: NodeJS.Timeout | undefined;
  /** Retained values that the broker has not acknowledged: they are published again on the next connection. */
  readonly #unacknowledged = new Map<string, Uint8Array>();
  /** Of these, the ones to be published in the next turn. */
  #retained: string[] = [];
  /** And the ones to be published a moment later, unless something newer comes. */
  readonly #patient = new Set<string>();
  #patience: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: LeaderVoiceOptions) {
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
    this.#retained = [];
    this.#patient.clear();
    this.#endPatience();
  }

  perform(effect: Exclude<PlannerEffect, { type: 'propose' }>): void {
    const { topics } = this.#options;
    switch (effect.type) {
      case 'send':
        this.#send(effect.node, effect.message);
        return;
      case 'announce': {
        const hint: LeaderHint = { v: 1, ...effect.hint, ...this.#options.claim() };
        this.#options.onAnnounce(hint);
        this.#retain(topics.leader(), encode(hint, 'json', limits.sealBytes));
        return;
      }
      case 'publish-state': {
        const { account, job, phase } = effect.state;
        const payload = encode(effect.state, 'json');
        if (phase === 'refused') this.say(topics.jobState(account, job), payload);
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
        this.clearSpec(effect.account, effect.job);
        return;
      case 'clear-job':
        this.#retain(topics.jobState(effect.account, effect.job), new Uint8Array());
        this.#retain(topics.jobResult(effect.account, effect.job), new Uint8Array());
        return;
      case 'clear-status':
        this.#retain(topics.nodeStatus(effect.node), new Uint8Array());
        return;
      case 'publish-forecast':
        this.#retain(topics.forecast(effect.forecast.node), encode(effect.forecast, 'json'));
        return;
      case 'clear-forecast':
        this.#retain(topics.forecast(effect.node), new Uint8Array());
        return;
      case 'index':
        void this.#index(effect);
        return;
      case 'event':
        this.#tell({ v: 1, source: this.#options.id, ...effect.event });
    }
  }

  /** Nobody waits for it: later, in one go with others. A leader that dies before it clears them when they come again. */
  clearSpec(account: string, job: string): void {
    this.#specsToClear.add(this.#options.topics.jobSpec(account, job));
    this.#clearing ??= setTimeout(() => {
      this.#clearing = undefined;
      for (const topic of this.#specsToClear) this.#retain(topic, new Uint8Array());
      this.#specsToClear.clear();
    }, clearSpecsMs);
  }

  #send(node: string, message: InboxMessage): void {
    if (message.type === 'assign' && encodeCbor(message.input).length > limits.inlineAssignBytes)
      void this.#spill(node, message);
    // Nothing is kept of those that are refused: names can be made up.
    else (message.type === 'refused' ? this.#makeInbox(node) : this.#inbox(node)).push(message);
  }

  /** A description too large for a message becomes a blob. */
  async #spill(node: string, message: Assign): Promise<void> {
    const inbox = this.#inbox(node);
    try {
      const description = await this.#options.blobs.put(encodeCbor(message.input));
      inbox.push({ ...message, input: { kind: 'spilled', description } });
    } catch (error) {
      // The node never hears of it: its next inventory makes the task ready again.
      this.report('spill-failed', 'warning', `${message.attempt}: ${asMeshError(error, 'MESH_UNREACHABLE').toLine()}`);
    }
  }

  #inbox(node: string): Outbox<InboxMessage> {
    const known = this.#inboxes.get(node);
    if (known !== undefined) return known;
    const inbox = this.#makeInbox(node);
    this.#inboxes.set(node, inbox);
    return inbox;
  }

  #makeInbox(node: string): Outbox<InboxMessage> {
    const { id, bootId, topics, transport, log, voter } = this.#options;
    const topic = topics.nodeInbox(node);
    return new Outbox<InboxMessage>({
      from: id,
      bootId,
      term: (): InboxEnvelope['term'] => voter().planner.term,
      publish: async (payload) => {
        if (voter().leadsNow()) await transport()?.publish(topic, payload, { qos: 1 });
      },
      onProblem: (error) => log.debug({ node, error: String(error) }, 'assignment not sent'),
      gatherMs: inboxGatherMs,
      patienceMs: ({ type }) => (type === 'committed' ? committedPatienceMs : 0),
      tidy: committedTogether,
    });
  }

  async #index(effect: PlannerEffect & { type: 'index' }): Promise<void> {
    const { account, job, stage, source, by, blockBytes } = effect;
    const { blobs } = this.#options;
    const voter = this.#options.voter();
    while (!this.#closed && voter.planner.leading) {
      try {
        const reference =
          'inline' in source ? await blobs.put(source.inline) : { blob: source.blob, sizeBytes: source.sizeBytes };
        const index =
          by === 'bytes' ? blocksOf(reference.sizeBytes, blockBytes!, stage) : await blobs.index(reference, by);
        voter.feed({ type: 'indexed', account, job, stage, source: reference, index });
        return;
      } catch (error) {
        const failure = asMeshError(error, 'MESH_INPUT_INVALID');
        if (failure.code === 'MESH_UNREACHABLE') continue; // it has waited long already; the job waits until a holder is back
        voter.feed({ type: 'index-failed', account, job, stage, problem: problemOf(failure) });
        return;
      }
    }
  }

  report(kind: string, severity: MeshEvent['severity'], text: string): void {
    this.#options.log.warn({ kind }, text);
    this.#tell({ v: 1, source: this.#options.id, kind, severity, text: text.slice(0, 1_000) });
  }

  #tell(event: MeshEvent): void {
    this.#publish(this.#options.topics.events(), encode(event, 'json'), { qos: 0 });
  }

  /** To one that waits for it right now. */
  say(topic: string, payload: Uint8Array): void {
    this.#publish(topic, payload, { qos: 1 });
  }

  /**
   * A broker takes what is retained to its disk, and with some brokers what comes behind it from the same connection waits: so
   * it is published last of what a step gives, after the assignments.
   */
  #retain(topic: string, payload: Uint8Array): void {
    this.#unacknowledged.set(topic, payload);
    if (this.#patient.delete(topic) && this.#patient.size === 0) this.#endPatience();
    if (this.#retained.push(topic) === 1) setImmediate(() => this.#publishRetained());
  }

  #retainPatiently(topic: string, payload: Uint8Array): void {
    this.#unacknowledged.set(topic, payload);
    this.#patient.add(topic);
    this.#patience ??= setTimeout(() => {
      this.#patience = undefined;
      this.#retained.push(...this.#patient);
      this.#patient.clear();
      this.#publishRetained();
    }, statePatienceMs);
  }

  #endPatience(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
  }

  #publishRetained(): void {
    if (!this.#options.voter().leadsNow()) return;
    const topics = new Set(this.#retained);
    this.#retained = [];
    for (const topic of topics) {
      const payload = this.#unacknowledged.get(topic); // the newest; none when that has arrived already
      if (payload !== undefined) this.#publish(topic, payload, { qos: 1, retain: true });
    }
  }

  #publish(topic: string, payload: Uint8Array, options: { readonly qos: 0 | 1; readonly retain?: boolean }): void {
    this.#options
      .transport()
      ?.publish(topic, payload, options)
      .then(() => {
        if (this.#unacknowledged.get(topic) === payload) this.#unacknowledged.delete(topic);
      })
      .catch((error: unknown) => this.#options.log.debug({ topic, error: String(error) }, 'not published'));
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#clearing);
    this.fallSilent();
  }
}

export function problemOf(error: MeshError): Problem {
  const { code, message, where, mend } = error;
  return { code, message, ...(where === undefined ? {} : { where }), ...(mend === undefined ? {} : { mend }) };
}

function blocksOf(sizeBytes: number, blockBytes: number, stage: string): RecordIndex {
  const count = Math.ceil(sizeBytes / blockBytes);
  if (count <= limits.tasksPerStage) return blockIndex(sizeBytes, blockBytes);
  const least = Math.ceil(sizeBytes / limits.tasksPerStage);
  throw new MeshError(
    'MESH_LIMIT_EXCEEDED',
    `tasksPerStage is ${limits.tasksPerStage}; in blocks of ${blockBytes} bytes stage ${stage} would have ${count}`,
    { mend: `set \`split: { by: bytes, size: ... }\` to at least ${least}` },
  );
}
