import { randomBytes } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import type { Logger } from 'pino';
import {
  asMeshError,
  decode,
  describeConnection,
  encode,
  inboxEnvelope,
  isErrorCode,
  type LeaderHint,
  MeshError,
  type MeshEvent,
  meshIdOf,
  type NodeStatus,
  type OutboxMessage,
  type PreferencesChange,
  type PreferencesHeld,
  Topics,
  type Transport,
  type TrustChange,
  type TrustedKey,
} from '../contract/index.ts';
import { raftProfiles } from '../core/index.ts';
import { BlobClient, BlobStore, HeapKeeper } from '../data/index.ts';
import { AgentDriver } from './agent-driver.ts';
import { Authors } from './authors/authors.ts';
import { isFounderOf } from './found.ts';
import { type Identity, openIdentity, readMeshFile } from './home.ts';
import { Standing } from './joining/standing.ts';
import { Link } from './link.ts';
import { lockHome } from './lock.ts';
import { nodeFacts } from './machine-facts.ts';
import { Metrics } from './metrics.ts';
import type { NodeOptions, RunningNode } from './node-options.ts';
import { answerOwner } from './owner/local-door.ts';
import { OwnerLimits } from './owner/owner-limits.ts';
import { Presence } from './presence.ts';
import { openDeviceScope } from './scope/device-scope.ts';
import { openOf, withSeals } from './sealed.ts';
import { type Publisher, withShortcut } from './shortcut.ts';
import { Signer } from './signing.ts';
import { TrustKeeper } from './trust-keeper.ts';
import { paceOf } from './voter/pace.ts';
import { VoterSeat } from './voter/voter-seat.ts';

const defaultCacheBytes = 512 * 1024 ** 2;
/** How long a node that stops waits for the broker to take its last status. */
const goodbyeMs = 2_000;

/** Starts the runtime of one device: joins the mesh, offers its share, and votes or leads when it is to. */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  let node: MeshNode | undefined;
  const unlock = await lockHome(options.home.lockFile, (socket) => {
    if (node === undefined) socket.end();
    else answerOwner(socket, node);
  });
  try {
    const identity = await openIdentity(options.home, options.name);
    const isFounder = isFounderOf(await readMeshFile(options.home), identity);
    const running = new MeshNode(options, identity, isFounder);
    await running.start().catch(async (error: unknown) => {
      await running.release();
      throw error;
    });
    node = running;
    let stopping: Promise<void> | undefined;
    return {
      node: identity.node,
      get leads() {
        return running.leads;
      },
      online: running.online,
      failed: running.failed,
      stop: () => {
        stopping ??= running.stop().finally(unlock);
        return stopping;
      },
    };
  } catch (error) {
    await unlock();
    throw error;
  }
}

class MeshNode {
  readonly #options: NodeOptions;
  readonly #node: string;
  readonly #bootId = randomBytes(8).toString('hex');
  readonly #topics: Topics;
  readonly #log: Logger;
  readonly online: Promise<void>;
  readonly failed: Promise<MeshError>;
  #markOnline!: () => void;
  #markFailed!: (error: MeshError) => void;
  #hint: LeaderHint | undefined;
  #holders: readonly string[] = ['broker'];
  #presence!: Presence;
  #link!: Link;
  #agent!: AgentDriver;
  #limits: OwnerLimits | undefined;
  #authors!: Authors;
  readonly #isFounder: boolean;
  readonly #signer: Signer;
  readonly #trust: TrustKeeper;
  readonly #seat: VoterSeat;
  readonly #standing: Standing;
  #blobs!: BlobClient;
  #cache!: BlobStore;
  #metrics: Metrics | undefined;
  #heap!: HeapKeeper;

  /** Throws what `TrustKeeper` throws, and `MESH_CONFIG_INVALID` when the connection names no mesh id. */
  constructor(options: NodeOptions, identity: Identity, isFounder: boolean) {
    const meshId = meshIdOf(options.connection);
    this.#options = options;
    this.#isFounder = isFounder;
    this.#node = identity.node;
    this.#signer = new Signer(identity, meshId);
    this.#trust = new TrustKeeper(options.home.trustFile, meshId);
    this.#topics = new Topics(options.connection.mesh);
    this.#log = options.log.child({ node: this.#node });
    const { home, connection, membership } = options;
    this.#standing = new Standing({
      home,
      identity,
      connection,
      membership,
      log: this.#log,
      tell: (event) => this.#tell(event),
      onOut: (error) => this.#markFailed(error),
    });
    this.#seat = new VoterSeat({
      home: options.home,
      isFounder,
      mayLead: this.#mayLead,
      policy: options.policy ?? 'predictive',
      connection: () => this.#link?.transport,
      followerFilters: [this.#topics.nodeStatus(this.#node)],
      voter: () => this.#voterOptions(),
      log: this.#log,
      onFatal: (error) => this.#markFailed(error),
    });
    this.online = new Promise((resolve) => {
      this.#markOnline = resolve;
    });
    this.failed = new Promise((resolve) => {
      this.#markFailed = resolve;
    });
  }

  get leads(): boolean {
    return this.#voter?.isElected === true;
  }
  get #voter() {
    return this.#seat.voter;
  }
  get #mayLead(): boolean {
    const { mayLead, membership } = this.#options;
    return mayLead !== false && membership?.mayLead !== false;
  }

  async start(): Promise<void> {
    const { home, connection, log } = this.#options;
    const { deviceScope, slots, sensors, preferences = {} } = this.#options;
    const scope = await openDeviceScope(deviceScope);
    const trafficBytes = () => this.#link?.trafficBytes ?? 0;
    const isBusy = () => this.#agent.isBusy;
    const meshLoad = () => this.#agent?.meshLoad() ?? { processIds: [], endedCpuMs: 0 };
    const limits = await OwnerLimits.open(
      { home, scope, slots, sensors, trafficBytes, isBusy, meshLoad, log: this.#log },
      preferences,
    );
    this.#limits = limits;
    const { agent, status: offered } = limits.allowance;
    const transport = () => this.#link?.transport;
    this.#cache = await BlobStore.open(home.blobsDirectory, {
      budgetBytes: this.#options.cacheBytes ?? defaultCacheBytes,
    });
    this.#blobs = new BlobClient({
      transport,
      topics: this.#topics,
      requester: this.#node,
      holders: () => this.#holders,
      cache: this.#cache,
      onProblem: (problem) => log.debug(problem.toLine()),
    });
    const shared = this.#shared();
    this.#authors = await Authors.open({ home, node: this.#node, log: this.#log }, (trusts, distrusted) => {
      this.#agent.distrust(distrusted);
      this.#presence.trust(trusts);
    });
    const facts = await nodeFacts(home, this.#log, this.#options.unsandboxed === true);
    this.#agent = new AgentDriver({
      ...shared,
      node: this.#node,
      home,
      offer: { engines: facts.engines, ...agent },
      gate: this.#authors.gate,
      unsandboxed: this.#options.unsandboxed === true,
      term: this.#trust.term,
      persistTerm: (term) => {
        // It is on disk since it was proven; what was not is no term of ours.
        if (term > this.#trust.term) throw new MeshError('MESH_LEADER_UNPROVEN', `term ${term} was not proven`);
      },
      onFatal: (error) => this.#markFailed(error),
    });
    const status = {
      v: 1 as const,
      node: this.#node,
      bootId: this.#bootId,
      ...facts,
      ...offered,
      trusts: this.#authors.trusts,
      labels: [...(this.#options.labels ?? [])],
      mayLead: this.#mayLead,
      publicKey: this.#signer.publicKey,
      admission: this.#standing.admission(),
    };
    this.#presence = new Presence(
      {
        topics: this.#topics,
        signer: this.#signer,
        transport,
        log: this.#log,
        tell: (event) => this.#tell(event),
        onCloned: (error) => this.#markFailed(error),
      },
      status,
    );
    await this.#seat.resume();
    const { sampleIntervalMs } = this.#options;
    await scope.enter();
    const { machine } = scope;
    const measured = { node: this.#node, home, machine, meshLoad };
    this.#metrics = await Metrics.start({ ...shared, ...measured, ...(sampleIntervalMs && { sampleIntervalMs }) });
    limits.start({
      allow: (allowance) => {
        this.#presence.offer(allowance.status);
        this.#agent.obey(allowance);
      },
      press: (reason) => this.#agent.press(reason),
      limitCpu: (cores) => this.#agent.pool.limitCpu(cores),
    });
    this.#heap = new HeapKeeper(() => this.#agent.meshLoad().processIds.length > 0);
    this.#link = new Link({
      connectOptions: () => this.#connectOptions(),
      onUp: (up) => this.#up(up),
      onDown: (reason) => {
        this.#log.warn(`connection lost: ${reason.message}`);
        this.#voter?.disconnected();
      },
      onTrouble: (error) => {
        this.#log.warn(error.toLine());
        this.#standing.refused(error);
      },
    });
    this.#log.info({ mesh: describeConnection(connection), ...offered }, 'starting');
  }

  /** The owner speaks, on the machine itself. */
  change(change: PreferencesChange): Promise<PreferencesHeld> {
    return this.#limits!.change('device', change);
  }

  /** The same, of whose code it runs on engine `node`. */
  trust(change: TrustChange): Promise<readonly TrustedKey[]> {
    return this.#authors.change(change);
  }

  #shared() {
    return {
      bootId: this.#bootId,
      topics: this.#topics,
      blobs: this.#blobs,
      transport: () => this.#publisher(),
      log: this.#log,
    };
  }

  /** How this node votes, once it does. */
  #voterOptions() {
    const profile = this.#options.connection.profile ?? 'edge';
    return {
      ...this.#shared(),
      subscriptions: () => this.#link?.transport,
      signer: this.#signer,
      judge: (status: NodeStatus) => this.#standing.judge(status),
      trust: this.#trust,
      onAnnounce: (hint: LeaderHint) => this.#obey(hint),
      id: this.#node,
      publicKey: this.#signer.publicKey,
      founders: this.#isFounder ? [this.#node] : [],
      profile: raftProfiles[profile],
      holders: this.#holders,
      logDirectory: this.#options.home.logDirectory,
      config: paceOf(profile, this.#options),
      ...(this.#options.learning === undefined ? {} : { learning: this.#options.learning }),
      ...(this.#options.journalDirectory === undefined ? {} : { journalDirectory: this.#options.journalDirectory }),
      onFatal: (error: MeshError) => this.#markFailed(error),
    };
  }

  #connectOptions() {
    const { number, will } = this.#presence.nextConnection();
    return {
      ...this.#standing.login(),
      // A new id per connection: taking over an id does not silence the old holder at once on every broker.
      clientId: `${this.#node}-${this.#bootId.slice(0, 4)}-${number}`,
      will,
    };
  }

  async #up(transport: Transport): Promise<void> {
    transport.listen((topic, payload) => this.#hear(topic, payload));
    await transport.subscribe(
      [
        this.#topics.nodeInbox(this.#node),
        this.#topics.leader(),
        ...(this.#mayLead ? [`${this.#topics.prefix}raft/${this.#node}/+`] : []),
        // A voter hears the statuses of all.
        ...(this.#voter?.filters() ?? [this.#presence.topic]),
      ],
      1,
    );
    await this.#presence.announce(transport);
    this.#voter?.connected();
    this.#markOnline();
    this.#log.info('online');
  }

  #publisher(): Publisher | undefined {
    const transport = this.#link?.transport;
    if (transport === undefined) return undefined;
    const sealed = withSeals(transport, this.#topics, this.#signer);
    if (this.#voter?.isElected !== true) return sealed;
    const own = [this.#topics.nodeInbox(this.#node), this.#topics.nodeOutbox(this.#node)];
    return withShortcut(sealed, own, (topic, payload) => this.#hear(topic, payload, true));
  }

  /** `isOwn`: from this very process, round the broker and without a seal. */
  #hear(topic: string, payload: Uint8Array, isOwn = false): void {
    const parsed = this.#topics.parse(topic);
    if (parsed === undefined) return;
    try {
      if (parsed.kind === 'inbox') this.#hearInbox(topic, payload, isOwn);
      else if (parsed.kind === 'leader') this.#hearLeader(topic, payload);
      else {
        if (topic === this.#presence.topic) this.#presence.hear(payload);
        if (this.#voter !== undefined) this.#voter.hear(parsed, topic, payload, isOwn);
        else if (parsed.kind === 'raft') this.#hearVoter(parsed.from, topic, payload);
      }
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      this.#report(topic, error);
    }
  }

  /** What is not what it should be is told, and otherwise ignored. */
  #report(topic: string, error: MeshError): void {
    const text = `${topic}: ${error.toLine()}`.slice(0, 1_000);
    if (error.code === 'MESH_STORAGE_FAILED') this.#markFailed(error);
    this.#tell({ kind: 'message-refused', severity: 'warning', text });
  }

  #tell(told: Omit<MeshEvent, 'v' | 'source'>): void {
    this.#log.warn({ kind: told.kind }, told.text);
    const event: MeshEvent = { v: 1, source: this.#node, ...told };
    this.#link?.transport
      ?.publish(this.#topics.events(), encode(event, 'json'), { qos: 0 })
      .catch((failure: unknown) => this.#log.debug(String(failure)));
  }

  #hearInbox(topic: string, payload: Uint8Array, isOwn: boolean): void {
    const envelope = isOwn ? decode(inboxEnvelope, payload) : this.#trust.openInbox(payload, topic);
    if (envelope === undefined || envelope.term !== this.#trust.term) return;
    for (const message of envelope.messages) {
      const answer = (said: OutboxMessage) => this.#agent.report(said);
      void this.#metrics?.hear(message, answer);
      void this.#limits?.hear(message, answer);
      void this.#authors?.hear(message, answer);
      if (message.type !== 'refused' || message.bootId !== this.#bootId) continue;
      const { code, message: text, mend } = message.problem;
      this.#markFailed(
        new MeshError(isErrorCode(code) ? code : 'MESH_NOT_ADMITTED', text, mend === undefined ? {} : { mend }),
      );
    }
    this.#agent.hear(envelope);
  }

  /** The first word of a log: from the leader that was proven, and from nobody else. */
  #hearVoter(from: string, topic: string, payload: Uint8Array): void {
    openOf(from, this.#trust.keyOf(from), payload, topic, this.#trust.meshId);
    this.#seat.take();
  }

  #hearLeader(topic: string, payload: Uint8Array): void {
    if (payload.length === 0) return;
    const hint = this.#trust.openHint(payload, topic);
    if (hint === undefined) {
      // A leader of the past, and perhaps what the broker keeps now: a node that is new would wait for it for ever.
      this.#voter?.remindWhoLeads();
      return;
    }
    this.#follow(hint);
    for (const waited of this.#trust.proven()) this.#hear(waited.topic, waited.payload);
  }

  /** Our own announcement: the node of a leader obeys it by the same proof as all others. */
  #obey(hint: LeaderHint): void {
    try {
      this.#trust.prove(hint);
    } catch (error) {
      const failure = asMeshError(error, 'MESH_STORAGE_FAILED');
      if (failure.code === 'MESH_STORAGE_FAILED') this.#markFailed(failure);
      else this.#log.warn(failure.toLine()); // the voters will sign who they are, and it announces itself again
      return;
    }
    this.#follow(hint);
  }

  /** A leader asks, by announcing itself, who is there. */
  #follow(hint: LeaderHint): void {
    const before = this.#hint;
    if (before !== undefined && before.bootId === hint.bootId && before.seq === hint.seq) return;
    this.#hint = hint;
    this.#holders = hint.holders;
    // On a first connection the status has just been published; the leader has not announced itself in answer to it.
    this.#presence.announceNow();
  }

  async stop(): Promise<void> {
    this.#heap.close();
    await Promise.race([this.#presence.sayGoodbye(), setTimeout(goodbyeMs, undefined, { ref: false })]);
    await this.release();
  }

  /** Closes what has been opened, be it all or only some. */
  async release(): Promise<void> {
    await this.#metrics?.close();
    await this.#standing.close();
    await this.#limits?.close();
    await this.#seat.close();
    await this.#agent?.close();
    await this.#link?.close();
    await this.#blobs?.close();
    await this.#cache?.close();
  }
}
