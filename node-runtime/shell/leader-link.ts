import type { Logger } from 'pino';
import {
  type Assign,
  asMeshError,
  decode,
  encode,
  encodeCbor,
  type InboxEnvelope,
  type InboxMessage,
  type JobSpec,
  jobCancel,
  limits,
  MeshError,
  type MeshEvent,
  nodeMetrics,
  nodeStatus,
  outboxEnvelope,
  type ParsedTopic,
  type Problem,
  queryAsk,
  type Topics,
} from '../contract/index.ts';
import { answerQuery, committedTogether, type PlannerEffect, refusedStateOf } from '../core/index.ts';
import type { BlobClient } from '../data/index.ts';
import { parseSpec, planOf } from './intake.ts';
import { Outbox } from './outbox.ts';
import type { Publisher } from './shortcut.ts';
import { Voter, type VoterOptions } from './voter.ts';

export interface LeaderLinkOptions extends Omit<VoterOptions, 'perform'> {
  readonly topics: Topics;
  readonly blobs: BlobClient;
  readonly transport: () => Publisher | undefined;
  readonly log: Logger;
}

interface Intake {
  readonly account: string;
  readonly job: string;
  readonly specHash: string;
  /** Why, when it was cancelled meanwhile. */
  cancelled?: string;
}

const tickMs = 250;
const clearSpecsMs = 500;
/** Messages to a node that follow each other faster than this go together. */
const inboxGatherMs = 4;
/** A node can wait to forget an outcome: it goes with the next assignment. */
const committedPatienceMs = 50;

/** What a voter hears and says over MQTT: specs, reports and questions in; assignments, states and answers out. */
export class LeaderLink {
  readonly #options: LeaderLinkOptions;
  readonly #inboxes = new Map<string, Outbox<InboxMessage>>();
  /** Specs whose code and input are being made durable, by topic and hash: the same one is not begun twice. */
  readonly #intakes = new Map<string, Intake>();
  #voter!: Voter;
  #ticker: NodeJS.Timeout | undefined;
  #closed = false;
  readonly #specsToClear = new Set<string>();
  #clearing: NodeJS.Timeout | undefined;
  #behind = false;
  /** Retained values that the broker has not acknowledged: they are published again on the next connection. */
  readonly #unacknowledged = new Map<string, Uint8Array>();
  /** Of these, the ones to be published in the next turn. */
  #retained: string[] = [];
  /** Messages that were not what they should be; reported on `events`, otherwise ignored. */
  malformed = 0;

  private constructor(options: LeaderLinkOptions) {
    this.#options = options;
  }

  static async open(options: LeaderLinkOptions): Promise<LeaderLink> {
    const link = new LeaderLink(options);
    link.#voter = await Voter.open({ ...options, perform: (effect) => link.#perform(effect) });
    // Before it is elected the planner takes nothing, and what is heard only then must not be lost.
    await link.#voter.start();
    link.#ticker = setInterval(() => link.#voter.feed({ type: 'tick' }), tickMs);
    return link;
  }

  /** What a voter subscribes to. */
  filters(): string[] {
    const { prefix } = this.#options.topics;
    const leaves = [
      'nodes/+/status',
      'nodes/+/metrics',
      'nodes/+/outbox',
      'jobs/+/+/spec',
      'jobs/+/+/cancel',
      'queries/+/+/ask',
    ];
    return leaves.map((leaf) => prefix + leaf);
  }

  connected(): void {
    for (const [topic, payload] of this.#unacknowledged) this.#publish(topic, payload, 1, true);
    this.#voter.feed({ type: 'connected' });
  }
  disconnected(): void {
    this.#voter.feed({ type: 'disconnected' });
  }

  /** Takes one message; what is malformed is counted and reported, never thrown. */
  hear(parsed: ParsedTopic, topic: string, payload: Uint8Array): void {
    try {
      this.#hear(parsed, topic, payload);
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      this.malformed += 1;
      this.#report('message-refused', 'warning', `${topic}: ${error.toLine()}`);
    }
  }

  #hear(parsed: ParsedTopic, topic: string, payload: Uint8Array): void {
    switch (parsed.kind) {
      case 'status': {
        if (payload.length === 0) return; // the record was cleared: the node was removed
        const status = decode(nodeStatus, payload);
        this.#sameNode(status.node, parsed.node);
        this.#voter.feed({ type: 'node-status', status });
        return;
      }
      case 'metrics': {
        const metrics = decode(nodeMetrics, payload);
        this.#sameNode(metrics.node, parsed.node);
        this.#voter.feed({ type: 'node-metrics', metrics });
        return;
      }
      case 'outbox': {
        const envelope = decode(outboxEnvelope, payload);
        this.#sameNode(envelope.from, parsed.node);
        this.#noticeTerm(envelope.from, envelope.term);
        this.#voter.feed({
          type: 'node-reported',
          node: envelope.from,
          bootId: envelope.bootId,
          messages: envelope.messages,
        });
        return;
      }
      case 'spec':
        if (payload.length > 0) void this.#takeSpec(parsed.account, parsed.job, topic, payload);
        return;
      case 'cancel': {
        const { reason } = payload.length === 0 ? {} : decode(jobCancel, payload);
        this.#cancel(parsed.account, parsed.job, reason ?? `cancelled by ${parsed.account}`);
        return;
      }
      case 'queryAsk': {
        const answer = answerQuery(this.#voter.planner, parsed.account, decode(queryAsk, payload));
        this.#publish(
          this.#options.topics.queryAnswer(parsed.account, parsed.client),
          encode(answer, 'json'),
          1,
          false,
        );
      }
    }
  }

  #cancel(account: string, job: string, reason: string): void {
    // While its code and input are on their way to a holder, the planner does not know of it.
    for (const intake of this.#intakes.values())
      if (intake.account === account && intake.job === job) intake.cancelled = reason;
    this.#voter.feed({ type: 'cancel-requested', account, job, reason });
  }

  /** A node that has seen a later term obeys us no more: our log is older than what the mesh had. Said once a leadership. */
  #noticeTerm(node: string, term: number): void {
    const { leading, term: ours } = this.#voter.planner;
    if (!leading || term <= ours || this.#behind) return;
    this.#behind = true;
    const text =
      `${node} has seen term ${term}, this leader is in term ${ours}: was its log restored from an ` +
      'older copy? To go on from that copy remove node/term and node/outcomes in the homes of the other nodes';
    this.#report('term-behind', 'error', text);
  }

  #sameNode(claimed: string, topic: string): void {
    if (claimed === topic) return;
    throw new MeshError('MESH_MESSAGE_MALFORMED', `a message of "${claimed}" on the topic of "${topic}"`);
  }

  async #takeSpec(account: string, job: string, topic: string, payload: Uint8Array): Promise<void> {
    let specHash = '';
    try {
      const parsed = parseSpec(payload);
      specHash = parsed.specHash;
      const { jobs } = this.#voter.planner.ledger;
      const known = jobs.get(`${account}/${job}`);
      if (known !== undefined) {
        this.#voter.feed({ type: 'submitted', account, job, specHash, plan: known.plan });
        return;
      }
      const key = `${topic}#${specHash}`;
      if (this.#intakes.has(key)) return;
      if (this.#intakes.size >= limits.specsHeld)
        throw new MeshError('MESH_LIMIT_EXCEEDED', `specsHeld is ${limits.specsHeld}`);
      const intake: Intake = { account, job, specHash };
      this.#intakes.set(key, intake);
      try {
        await this.#takeIn(intake, parsed.spec);
      } finally {
        this.#intakes.delete(key);
      }
    } catch (error) {
      const failure = asMeshError(error, 'MESH_SPEC_INVALID');
      this.#refuse(account, job, specHash, problemOf(failure));
      this.#report('spec-refused', 'warning', `${topic}: ${failure.toLine()}`);
    }
  }

  /** Makes code and input durable, then hands the plan to the planner. Held until that works, however long. */
  async #takeIn(intake: Intake, spec: JobSpec): Promise<void> {
    const { account, job, specHash } = intake;
    while (!this.#closed) {
      try {
        const plan = await planOf(spec, this.#options.blobs);
        this.#voter.feed({ type: 'submitted', account, job, specHash, plan });
        if (intake.cancelled !== undefined)
          this.#voter.feed({ type: 'cancel-requested', account, job, reason: intake.cancelled });
        return;
      } catch (error) {
        const failure = asMeshError(error, 'MESH_SPEC_INVALID');
        if (failure.code !== 'MESH_UNREACHABLE') throw failure;
        if (intake.cancelled !== undefined) throw new MeshError('MESH_JOB_CANCELLED', intake.cancelled);
        this.#options.log.warn(`${account}/${job} waits for a holder: ${failure.toLine()}`); // which took long: no pause is needed
      }
    }
  }

  #refuse(account: string, job: string, specHash: string, problem: Problem): void {
    const { topics } = this.#options;
    const state = refusedStateOf(this.#voter.planner, { account, job, specHash }, problem);
    this.#publish(topics.jobState(account, job), encode(state, 'json'), 1, false);
    this.#publish(topics.jobSpec(account, job), new Uint8Array(), 1, true);
  }

  #perform(effect: Exclude<PlannerEffect, { type: 'propose' }>): void {
    const { topics } = this.#options;
    switch (effect.type) {
      case 'send':
        this.#send(effect.node, effect.message);
        return;
      case 'announce':
        this.#publish(topics.leader(), encode({ v: 1, ...effect.hint }, 'json'), 1, true);
        return;
      case 'publish-state':
        this.#publish(
          topics.jobState(effect.state.account, effect.state.job),
          encode(effect.state, 'json'),
          1,
          effect.state.phase !== 'refused',
        );
        return;
      case 'publish-result':
        this.#publish(
          topics.jobResult(effect.result.account, effect.result.job),
          encode(effect.result, 'json'),
          1,
          true,
        );
        return;
      case 'clear-spec':
        this.#clearSpec(topics.jobSpec(effect.account, effect.job));
        return;
      case 'clear-job':
        this.#publish(topics.jobState(effect.account, effect.job), new Uint8Array(), 1, true);
        this.#publish(topics.jobResult(effect.account, effect.job), new Uint8Array(), 1, true);
        return;
      case 'index':
        void this.#index(effect);
        return;
      case 'event':
        this.#publish(topics.events(), encode({ v: 1, source: this.#options.id, ...effect.event }, 'json'), 0, false);
    }
  }

  /** Nobody waits for it: later, in one go with others. A leader that dies before it clears them when they come again. */
  #clearSpec(topic: string): void {
    this.#specsToClear.add(topic);
    this.#clearing ??= setTimeout(() => {
      this.#clearing = undefined;
      for (const each of this.#specsToClear) this.#publish(each, new Uint8Array(), 1, true);
      this.#specsToClear.clear();
    }, clearSpecsMs);
  }

  #send(node: string, message: InboxMessage): void {
    if (message.type === 'assign' && encodeCbor(message.input).length > limits.inlineAssignBytes)
      void this.#spill(node, message);
    else this.#inbox(node).push(message);
  }

  /** A description too large for a message becomes a blob. */
  async #spill(node: string, message: Assign): Promise<void> {
    try {
      const description = await this.#options.blobs.put(encodeCbor(message.input));
      this.#inbox(node).push({ ...message, input: { kind: 'spilled', description } });
    } catch (error) {
      // The node never hears of it: its next inventory makes the task ready again.
      this.#report('spill-failed', 'warning', `${message.attempt}: ${asMeshError(error, 'MESH_UNREACHABLE').toLine()}`);
    }
  }

  #inbox(node: string): Outbox<InboxMessage> {
    const known = this.#inboxes.get(node);
    if (known !== undefined) return known;
    const topic = this.#options.topics.nodeInbox(node);
    const { id, bootId } = this.#options;
    const inbox = new Outbox<InboxMessage>({
      from: id,
      bootId,
      term: (): InboxEnvelope['term'] => this.#voter.planner.term,
      publish: (payload) => this.#options.transport()?.publish(topic, payload, { qos: 1 }) ?? Promise.resolve(),
      onProblem: (error) => this.#options.log.debug({ node, error: String(error) }, 'assignment not sent'),
      gatherMs: inboxGatherMs,
      patienceMs: ({ type }) => (type === 'committed' ? committedPatienceMs : 0),
      tidy: committedTogether,
    });
    this.#inboxes.set(node, inbox);
    return inbox;
  }

  async #index(effect: PlannerEffect & { type: 'index' }): Promise<void> {
    const { account, job, stage, source, by } = effect;
    const { blobs } = this.#options;
    while (!this.#closed) {
      try {
        const reference =
          'inline' in source ? await blobs.put(source.inline) : { blob: source.blob, sizeBytes: source.sizeBytes };
        const index = await blobs.index(reference, by);
        this.#voter.feed({ type: 'indexed', account, job, stage, source: reference, index });
        return;
      } catch (error) {
        const failure = asMeshError(error, 'MESH_INPUT_INVALID');
        if (failure.code === 'MESH_UNREACHABLE') continue; // it has waited long already; the job waits until a holder is back
        this.#voter.feed({ type: 'index-failed', account, job, stage, problem: problemOf(failure) });
        return;
      }
    }
  }

  #report(kind: string, severity: MeshEvent['severity'], text: string): void {
    this.#options.log.warn({ kind }, text);
    const event: MeshEvent = { v: 1, source: this.#options.id, kind, severity, text: text.slice(0, 1_000) };
    this.#publish(this.#options.topics.events(), encode(event, 'json'), 0, false);
  }

  /**
   * A broker takes what is retained to its disk, and what comes behind it from the same connection waits: so it is
   * published last of what a step gives, after the assignments.
   */
  #publish(topic: string, payload: Uint8Array, qos: 0 | 1, retain: boolean): void {
    if (!retain) {
      this.#publishNow(topic, payload, qos, false);
      return;
    }
    this.#unacknowledged.set(topic, payload);
    if (this.#retained.push(topic) === 1) setImmediate(() => this.#publishRetained());
  }

  #publishRetained(): void {
    const topics = new Set(this.#retained);
    this.#retained = [];
    for (const topic of topics) {
      const payload = this.#unacknowledged.get(topic); // the newest; none when that has arrived already
      if (payload !== undefined) this.#publishNow(topic, payload, 1, true);
    }
  }

  #publishNow(topic: string, payload: Uint8Array, qos: 0 | 1, retain: boolean): void {
    this.#options
      .transport()
      ?.publish(topic, payload, { qos, retain })
      .then(() => {
        if (this.#unacknowledged.get(topic) === payload) this.#unacknowledged.delete(topic);
      })
      .catch((error: unknown) => this.#options.log.debug({ topic, error: String(error) }, 'not published'));
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#ticker);
    clearTimeout(this.#clearing);
    await this.#voter.close();
  }
}

function problemOf(error: MeshError): Problem {
  const { code, message, where, mend } = error;
  return { code, message, ...(where === undefined ? {} : { where }), ...(mend === undefined ? {} : { mend }) };
}
