import type { Logger } from 'pino';
import {
  type Assign,
  asMeshError,
  bodyOf,
  changesMesh,
  decode,
  encode,
  encodeCbor,
  jobCancel,
  MeshError,
  type MeshEvent,
  type NodeStatus,
  nodeMetrics,
  nodeStatus,
  outboxEnvelope,
  type ParsedTopic,
  problemOf,
  type QueryAnswer,
  type QueryAsk,
  queryAsk,
  type TermProof,
  type Topics,
  type Transport,
} from '../../contract/index.ts';
import { readRaftEnvelope, refusedStateOf, whereRuns } from '../../core/index.ts';
import { type BlobClient, sha256 } from '../../data/index.ts';
import {
  type LeaderClaim,
  LeaderVoice,
  type LeaderVoiceOptions,
  type Published,
  VoterSpeech,
} from '../../wire/index.ts';
import type { AdmissionVerdict } from '../admission.ts';
import { type LearningOptions, ModelKeeper } from '../foresight/model-keeper.ts';
import { processTimers } from '../process-timers.ts';
import { openOf } from '../sealed.ts';
import type { Publisher } from '../shortcut.ts';
import { isSignedBy, type Signer } from '../signing.ts';
import type { TrustKeeper } from '../trust-keeper.ts';
import { BlobSweeper } from './blob-sweeper.ts';
import { InputIndexer } from './input-indexer.ts';
import { dryPlanOf } from './job-plans.ts';
import { LateReports } from './late-reports.ts';
import { isRelayed, NodeRelay, splitAnswers } from './node-relay.ts';
import { PlanBudget } from './plan-budget.ts';
import { SpecIntake } from './spec-intake.ts';
import { type OutwardEffect, Voter, type VoterOptions } from './voter.ts';

export interface VoterLinkOptions extends Omit<VoterOptions, 'perform' | 'sendRaft' | 'fetchSnapshot'> {
  readonly topics: Topics;
  readonly blobs: BlobClient;
  /** What is said goes here; what is said to ourselves comes back. */
  readonly transport: () => Publisher | undefined;
  readonly signer: Signer;
  /** Whether who says this was let in. */
  readonly judge: (status: NodeStatus) => AdmissionVerdict;
  /** Whom this node believes: the keys of leaders and voters, by what was proven to it. */
  readonly trust: Pick<TrustKeeper, 'keyOf' | 'links' | 'learn'>;
  readonly onAnnounce: LeaderVoiceOptions['onAnnounce'];
  readonly learning?: LearningOptions;
  readonly subscriptions: () => Pick<Transport, 'subscribe' | 'unsubscribe'> | undefined;
  readonly log: Logger;
}

/**
 * What a voter hears and says over MQTT. All voters hear each other, the statuses of nodes (whose last will says that a
 * leader may be gone) and the specs of jobs, which they hold until the log has them; the one that leads hears everything.
 */
export class VoterLink {
  readonly #options: VoterLinkOptions;
  readonly #voice: LeaderVoice;
  readonly #speech: VoterSpeech;
  readonly #indexer: InputIndexer;
  readonly #intake: SpecIntake;
  readonly #relay: NodeRelay;
  readonly #late: LateReports;
  readonly #sweeper: BlobSweeper;
  readonly #models: ModelKeeper;
  readonly #plans = new PlanBudget();
  #voter!: Voter;
  #behind = false;
  /** The votes that elected this one. */
  #proof: TermProof | undefined;
  /** Messages that were not what they should be; reported on `events`, otherwise ignored. */
  malformed = 0;

  private constructor(options: VoterLinkOptions) {
    const { log, blobs, topics, signer } = options;
    this.#options = options;
    const voter = () => this.#voter;
    this.#voice = new LeaderVoice({
      ...options,
      timers: processTimers,
      publish: (topic, payload, published, acknowledged) => this.#publish(topic, payload, published, acknowledged),
      term: () => this.#voter.planner.term,
      leadsNow: () => this.#voter.leadsNow(),
      claim: () => this.#claim(),
      spill: (assign) => this.#spill(assign),
      onProblem: (node, error) => log.debug({ node, error: String(error) }, 'assignment not sent'),
    });
    this.#speech = new VoterSpeech({
      ...options,
      timers: processTimers,
      meshId: signer.meshId,
      publicKey: signer.publicKey,
      sign: (statement) => signer.sign(statement),
      verify: isSignedBy,
      sha256,
      keyOf: (node) => this.#keyOf(node),
      chain: () => this.#voter.chainWith(options.trust.links),
      publish: (to, payload) => this.#publish(topics.raft(to, options.id), payload, { qos: 0 }),
      read: (take) => this.#readSnapshot(take),
      feed: (event) => this.#voter.feed(event),
      onProblem: (text) => log.warn(text),
    });
    this.#indexer = new InputIndexer({ voter, blobs });
    this.#intake = new SpecIntake({
      voter,
      blobs,
      log,
      refuse: ({ account, job, specHash }, error) => this.#refuse(account, job, specHash, error),
    });
    this.#late = new LateReports({ voter, blobs, log });
    const { id, holders } = options;
    const ledger = () => (this.#voter.planner.leading && this.#voter.leadsNow() ? this.#voter.ledger : undefined);
    this.#sweeper = new BlobSweeper({ id, holders, blobs, ledger, log });
    this.#models = new ModelKeeper({
      ...options,
      voter,
      tell: (event) => this.#voice.perform({ type: 'event', event }),
    });
    this.#relay = new NodeRelay({
      isOnline: (node) => this.#isOnline(node),
      whereRuns: (account, job, task) => whereRuns(this.#voter.planner, account, job, task),
      send: (node, message) => this.#voice.perform({ type: 'send', node, message }),
      answer: (account, client, payload) => this.#voice.say(topics.queryAnswer(account, client), payload),
    });
  }

  /** Reads the log back. Throws `MESH_LOG_CORRUPT` or `MESH_STORAGE_FAILED`. */
  static async open(options: VoterLinkOptions): Promise<VoterLink> {
    const link = new VoterLink(options);
    link.#voter = await Voter.open({
      ...options,
      perform: (effect) => link.#perform(effect),
      sendRaft: (to, message) => link.#speech.send(to, message),
      fetchSnapshot: (from, index, term) => link.#speech.fetchSnapshot(from, index, term),
    });
    // Before a sole voter leads the planner takes nothing, and what is heard only then must not be lost.
    await link.#voter.start();
    return link;
  }

  /** What it subscribes to when it connects. */
  filters(): string[] {
    const always = ['nodes/+/status', 'jobs/+/+/spec'].map((leaf) => this.#options.topics.prefix + leaf);
    return this.#voter.isElected ? [...always, ...this.#leaderFilters()] : always;
  }

  #leaderFilters(): string[] {
    const leaves = ['nodes/+/metrics', 'nodes/+/outbox', 'jobs/+/+/cancel', 'queries/+/+/ask', 'queries/+/+/change'];
    return leaves.map((leaf) => this.#options.topics.prefix + leaf);
  }

  connected(): void {
    this.#voice.connected();
    this.#voter.feed({ type: 'connected' });
  }
  disconnected(): void {
    this.#voter.feed({ type: 'disconnected' });
  }

  get isElected(): boolean {
    return this.#voter.isElected;
  }

  /** The broker may keep a leader of the past for whoever comes: the one that leads says so again, before long. */
  remindWhoLeads(): void {
    this.#voter.feed({ type: 'stranger-heard' });
  }

  /** Takes one message; what is malformed is counted and reported, never thrown. */
  hear(parsed: ParsedTopic, topic: string, payload: Uint8Array, isOwn = false): void {
    try {
      this.#hear(parsed, topic, payload, isOwn);
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      this.malformed += 1;
      this.#report('message-refused', 'warning', `${topic}: ${error.toLine()}`);
    }
  }

  #hear(parsed: ParsedTopic, topic: string, payload: Uint8Array, isOwn: boolean): void {
    switch (parsed.kind) {
      case 'raft': {
        const { from } = parsed;
        if (!this.#isHeard(from)) this.#options.trust.learn(readRaftEnvelope(bodyOf(payload)).chain ?? []);
        const body = this.#open(from, payload, topic, isOwn);
        if (!this.#isHeard(from))
          throw new MeshError('MESH_NOT_AUTHORIZED', `${from} speaks like a voter, and is none that is known here`);
        this.#speech.hear(from, readRaftEnvelope(body));
        return;
      }
      case 'status': {
        if (payload.length === 0) return; // the record was cleared: the node was removed
        const { signer, judge } = this.#options;
        const status = decode(nodeStatus, bodyOf(payload));
        const { node, publicKey } = status;
        sameNode(node, parsed.node);
        openOf(node, publicKey, payload, topic, signer.meshId);
        if (!status.online && status.node === this.#voter.leader)
          this.#voter.feed({ type: 'suspected', node: status.node });
        const { admitted, mayLead } = judge(status);
        this.#voter.feed({ type: 'status-heard', status: { ...status, mayLead }, admitted });
        return;
      }
      case 'metrics': {
        const metrics = decode(nodeMetrics, this.#open(parsed.node, payload, topic, isOwn));
        sameNode(metrics.node, parsed.node);
        this.#voter.feed({ type: 'node-metrics', metrics });
        return;
      }
      case 'outbox': {
        const body = this.#open(parsed.node, payload, topic, isOwn);
        const { from, term, bootId, messages } = decode(outboxEnvelope, body);
        sameNode(from, parsed.node);
        this.#noticeTerm(from, term);
        const { answers, rest } = splitAnswers(messages);
        const own = answers.filter((message) => !this.#relay.hear(from, message));
        // What the planner itself has asked for: it knows its requests, and drops what is late.
        const forPlanner = [...this.#late.sift(from, bootId, rest), ...own];
        this.#voter.feed({ type: 'node-reported', node: from, bootId, messages: forPlanner });
        return;
      }
      case 'spec':
        this.#intake.hear(parsed.account, parsed.job, payload);
        return;
      case 'cancel': {
        const { reason } = payload.length === 0 ? {} : decode(jobCancel, payload);
        this.#intake.cancel(parsed.account, parsed.job, reason ?? `cancelled by ${parsed.account}`);
        return;
      }
      case 'queryAsk':
      case 'queryChange': {
        if (!this.#voter.planner.leading) return;
        const { account, client } = parsed;
        const ask = decode(queryAsk, payload);
        const say = (answer: QueryAnswer) =>
          this.#voice.say(this.#options.topics.queryAnswer(account, client), encode(answer, 'json'));
        // First of all: who may write here need not be one who may change anything.
        if (changesMesh(ask.query) && parsed.kind !== 'queryChange') say(misplaced(ask));
        else if (isRelayed(ask)) this.#relay.ask(account, client, ask);
        else if (ask.query === 'plan')
          this.#plan(account, ask).then(
            (answer) => answer !== undefined && say(answer),
            (error) =>
              say({ v: 1, id: ask.id, query: 'error', problem: problemOf(asMeshError(error, 'MESH_SPEC_INVALID')) }),
          );
        else say(this.#voter.answer(account, ask));
      }
    }
  }

  /** As long as there is time for it. Undefined: another leads by now, and will be asked. Throws what is wrong with the spec, and `MESH_LIMIT_EXCEEDED`. */
  async #plan(account: string, ask: QueryAsk & { query: 'plan' }): Promise<QueryAnswer | undefined> {
    this.#plans.check(account);
    const dryRun = ask.spec === undefined ? undefined : await dryPlanOf(ask.spec);
    if (!this.#voter.planner.leading) return undefined;
    return this.#plans.spend(account, () => this.#voter.answer(account, ask, dryRun));
  }

  #isHeard(node: string): boolean {
    return this.#voter.hears(node, this.#options.trust.keyOf(node) !== undefined);
  }

  #keyOf(node: string): string | undefined {
    return this.#voter.keyOf(node) ?? this.#options.trust.keyOf(node);
  }

  /** One that leads but now has heard nobody yet: it knows whom it knows, and that it is there itself. */
  #isOnline(node: string): boolean | undefined {
    const heard = this.#voter.planner.nodes.get(node)?.online;
    return heard ?? (node === this.#options.id || (this.#keyOf(node) === undefined ? undefined : false));
  }

  /** Nodes are known by the log, and voters, until we have it, by the proof of their leader. */
  #open(node: string, payload: Uint8Array, topic: string, isOwn: boolean): Uint8Array {
    if (isOwn) return payload;
    const key = this.#keyOf(node);
    if (key === undefined) this.#voter.feed({ type: 'stranger-heard' });
    return openOf(node, key, payload, topic, this.#options.signer.meshId);
  }

  #claim(): LeaderClaim {
    const { publicKey } = this.#options.signer;
    // It has led since before it had anything to announce.
    return { publicKey, chain: [...this.#voter.ledger.votersChain], proof: this.#proof! };
  }

  #readSnapshot(take: (snapshot: Uint8Array | undefined) => void): void {
    this.#voter
      .readSnapshot()
      .then(take)
      .catch((error: Error) => this.#options.log.error(`the snapshot cannot be served: ${error.message}`));
  }

  async #spill(assign: Assign): Promise<Assign | undefined> {
    try {
      const description = await this.#options.blobs.put(encodeCbor(assign.input));
      return { ...assign, input: { kind: 'spilled', description } };
    } catch (error) {
      this.#report('spill-failed', 'warning', `${assign.attempt}: ${asMeshError(error, 'MESH_UNREACHABLE').toLine()}`);
      return undefined;
    }
  }

  #publish(topic: string, payload: Uint8Array, options: Published, acknowledged?: () => void): void {
    const { transport, log } = this.#options;
    transport()
      ?.publish(topic, payload, options)
      .then(acknowledged)
      .catch((error: unknown) => log.debug({ topic, error: String(error) }, 'not published'));
  }

  #report(kind: string, severity: MeshEvent['severity'], text: string): void {
    this.#options.log.warn({ kind }, text);
    this.#voice.tell({ v: 1, source: this.#options.id, kind, severity, text: text.slice(0, 1_000) });
  }

  /** A node that has seen a later term obeys us no more: our log is older than what the mesh had. Said once a leadership. */
  #noticeTerm(node: string, term: number): void {
    const { leading, term: ours } = this.#voter.planner;
    if (!leading || term <= ours || this.#behind) return;
    this.#behind = true;
    const text =
      `${node} has seen term ${term}, this leader is in term ${ours}: was its log restored from an ` +
      'older copy? To go on from that copy remove node/trust.json and node/outcomes in the homes of the other nodes';
    this.#report('term-behind', 'error', text);
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
        void this.#intake.take(effect);
        return;
      case 'index':
        void this.#indexer.find(effect);
        return;
      case 'clear-job':
        this.#sweeper.jobForgotten();
        this.#voice.perform(effect);
        return;
      default:
        this.#voice.perform(effect);
    }
  }

  /** Subscriptions go out before the first word of a leader, on the same connection: what is said in answer is heard. */
  #changeRole(effect: OutwardEffect & { type: 'role-changed' }): void {
    const { log, subscriptions } = this.#options;
    const { role, term, leader } = effect;
    log.info({ role, term, leader }, 'role changed');
    const connection = subscriptions();
    this.#behind = false;
    this.#sweeper.leads(role === 'leader');
    this.#models.leads(role === 'leader');
    this.#proof = role === 'leader' ? this.#speech.proofOf(effect) : undefined;
    if (role === 'leader') this.#await(connection?.subscribe(this.#leaderFilters(), 1));
    else {
      this.#voice.fallSilent();
      this.#relay.close();
      this.#await(connection?.unsubscribe(this.#leaderFilters()));
    }
  }

  /** On a connection that is lost meanwhile it is done again when there is a new one. */
  #await(done: Promise<void> | undefined): void {
    done?.catch((error: unknown) => {
      const { log } = this.#options;
      // A leader that the broker lets hear nothing would lead nobody, without a word.
      const isRefused = error instanceof MeshError && error.code === 'MESH_NOT_AUTHORIZED';
      log[isRefused ? 'error' : 'debug'](error instanceof MeshError ? error.toLine() : String(error));
    });
  }

  #refuse(account: string, job: string, specHash: string, error: MeshError): void {
    const { topics } = this.#options;
    const state = refusedStateOf(this.#voter.planner, { account, job, specHash }, problemOf(error));
    this.#voice.say(topics.jobState(account, job), encode(state, 'json'));
    this.#voice.clearSpec(account, job);
    this.#report('spec-refused', 'warning', `${topics.jobSpec(account, job)}: ${error.toLine()}`);
  }

  async close(): Promise<void> {
    this.#intake.close();
    this.#sweeper.close();
    this.#models.close();
    this.#relay.close();
    this.#indexer.close();
    this.#voice.close();
    this.#speech.close();
    await this.#voter.close();
  }
}

/** A broker lets only the owner of the mesh write where changes are asked for: they are made nowhere else. */
function misplaced({ id, query }: QueryAsk): QueryAnswer {
  const message = `"${query}" changes the mesh: it is asked on queries/<account>/<client>/change`;
  return { v: 1, id, query: 'error', problem: { code: 'MESH_TOPIC_INVALID', message } };
}

function sameNode(claimed: string, topic: string): void {
  if (claimed === topic) return;
  throw new MeshError('MESH_MESSAGE_MALFORMED', `a message of "${claimed}" on the topic of "${topic}"`);
}
