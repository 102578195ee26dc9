import { randomBytes } from 'node:crypto';
import { arch, availableParallelism, platform, totalmem } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import type { Logger } from 'pino';
import {
  brokerUrl,
  type Connection,
  decode,
  describeConnection,
  encode,
  type LeaderHint,
  leaderHint,
  limits,
  MeshError,
  type MeshEvent,
  type NodeStatus,
  Topics,
  type Transport,
} from '../contract/index.ts';
import { BlobClient, BlobStore } from '../data/index.ts';
import { AgentDriver } from './agent-driver.ts';
import { HeapKeeper } from './heap-keeper.ts';
import { type Home, identityOf, readMeshFile } from './home.ts';
import type { LeaderLink } from './leader-link.ts';
import { Link } from './link.ts';
import { lockHome } from './lock.ts';
import { openMachine } from './machine.ts';
import { describeMachine } from './machine-facts.ts';
import { MetricsPublisher } from './metrics-publisher.ts';
import { release } from './release.ts';
import { Sampler } from './sampler.ts';
import { type Publisher, withShortcut } from './shortcut.ts';

export interface NodeOptions {
  readonly home: Home;
  readonly connection: Connection;
  /** Taken at the first start; later starts keep the id that the home has. */
  readonly name?: string;
  /** Share of the machine's cores for the mesh, 0 to 1. */
  readonly share?: number;
  /** Attempts at once; by default one per core of the share. */
  readonly slots?: number;
  readonly labels?: readonly string[];
  readonly mayLead?: boolean;
  readonly cacheBytes?: number;
  readonly log: Logger;
}

export interface RunningNode {
  readonly node: string;
  readonly leads: boolean;
  /** Resolves when the node is online for the first time. */
  readonly online: Promise<void>;
  /** Resolves when the node cannot go on by itself, with the reason. */
  readonly failed: Promise<MeshError>;
  stop(): Promise<void>;
}

const defaults = { share: 0.5, cacheBytes: 512 * 1024 ** 2, queue: 64, prefetchBytes: 32 * 1024 ** 2 };
/** Statuses of one connection are numbered from a multiple of this; the will is above them all, and below the next connection's. */
const statusesPerConnection = 1_000;
/** How long a node that stops waits for the broker to take its last status. */
const goodbyeMs = 2_000;

/** Starts the runtime of one device: joins the mesh, offers its share, and leads if it is the founder. */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const unlock = await lockHome(options.home.lockFile);
  try {
    const node = await identityOf(options.home, options.name);
    const mesh = await readMeshFile(options.home);
    const running = new MeshNode(options, node);
    await running.start(mesh?.founder === node && options.mayLead !== false).catch(async (error: unknown) => {
      await running.release();
      throw error;
    });
    let stopping: Promise<void> | undefined;
    return {
      node,
      leads: running.leads,
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
  #connections = 0;
  #statuses = 0;
  #hint: LeaderHint | undefined;
  #holders: readonly string[] = ['broker'];
  #status!: Omit<NodeStatus, 'seq' | 'online'>;
  #link!: Link;
  #agent!: AgentDriver;
  #leader: LeaderLink | undefined;
  #blobs!: BlobClient;
  #cache!: BlobStore;
  #metrics!: MetricsPublisher;
  #heap!: HeapKeeper;

  constructor(options: NodeOptions, node: string) {
    this.#options = options;
    this.#node = node;
    this.#topics = new Topics(options.connection.mesh);
    this.#log = options.log.child({ node });
    this.online = new Promise((resolve) => {
      this.#markOnline = resolve;
    });
    this.failed = new Promise((resolve) => {
      this.#markFailed = resolve;
    });
  }

  get leads(): boolean {
    return this.#leader !== undefined;
  }

  async start(isVoter: boolean): Promise<void> {
    const { home, connection, log } = this.#options;
    const share = this.#options.share ?? defaults.share;
    const cores = availableParallelism();
    const slots = this.#options.slots ?? Math.max(1, Math.floor(cores * share));
    const offeredMemoryBytes = Math.floor(totalmem() * Math.min(share, 0.75));
    const transport = () => this.#link?.transport;
    this.#cache = await BlobStore.open(home.blobsDirectory, {
      budgetBytes: this.#options.cacheBytes ?? defaults.cacheBytes,
    });
    this.#blobs = new BlobClient({
      transport,
      topics: this.#topics,
      requester: this.#node,
      holders: () => this.#holders,
      cache: this.#cache,
      onProblem: (problem) => log.debug(problem.toLine()),
    });
    const offer = {
      engines: ['js'],
      slots,
      queue: Math.min(limits.queuePerNode, Math.max(defaults.queue, slots * 8)),
      memoryBytes: offeredMemoryBytes,
      prefetchAttempts: defaults.queue,
      prefetchBytes: defaults.prefetchBytes,
    };
    const shared = {
      bootId: this.#bootId,
      topics: this.#topics,
      blobs: this.#blobs,
      transport: () => this.#publisher(),
      log: this.#log,
    };
    this.#agent = new AgentDriver({
      ...shared,
      node: this.#node,
      home,
      offer,
      onFatal: (error) => this.#markFailed(error),
    });
    this.#status = {
      v: 1,
      node: this.#node,
      bootId: this.#bootId,
      release,
      arch: arch(),
      platform: platform(),
      cores,
      memoryBytes: totalmem(),
      engines: ['js'],
      ...(await describeMachine(home, this.#log)),
      labels: [...(this.#options.labels ?? [])],
      share,
      slots,
      queue: offer.queue,
      offeredMemoryBytes,
      mayLead: this.#options.mayLead !== false,
    };
    if (isVoter) await this.#openLeader(shared);
    const sampler = new Sampler(await openMachine(), () => this.#agent.meshLoad());
    this.#metrics = new MetricsPublisher({ ...shared, node: this.#node, sampler });
    this.#heap = new HeapKeeper(() => this.#agent.meshLoad().processIds.length > 0);
    this.#link = new Link({
      connectOptions: () => this.#connectOptions(),
      onUp: (up) => this.#up(up),
      onDown: (reason) => {
        this.#log.warn(`connection lost: ${reason.message}`);
        this.#leader?.disconnected();
      },
      onTrouble: (error) => this.#log.warn(error.toLine()),
    });
    this.#log.info({ mesh: describeConnection(connection), slots, share }, 'starting');
  }

  /** Only a voter loads what it takes to lead: raft, ledger, planner, placement, forecasters. */
  async #openLeader(shared: {
    bootId: string;
    topics: Topics;
    blobs: BlobClient;
    transport: () => Publisher | undefined;
    log: Logger;
  }): Promise<void> {
    const [{ LeaderLink }, { cutByWeights, placeByCurrentRoom, recordIndexProblem }, { lastValue }] = await Promise.all(
      [import('./leader-link.ts'), import('@foremesh/partitioner'), import('@foremesh/models')],
    );
    this.#leader = await LeaderLink.open({
      ...shared,
      id: this.#node,
      holders: this.#holders,
      logDirectory: this.#options.home.logDirectory,
      policy: {
        cut: (index, weights) => recordIndexProblem(index) ?? cutByWeights(index, weights),
        place: placeByCurrentRoom,
        createForecaster: (intervalMs) => lastValue({ intervalMs, range: { low: 0, high: 1 } }),
      },
      onFatal: (error) => this.#markFailed(error),
    });
  }

  #connectOptions() {
    const { connection } = this.#options;
    this.#connections += 1;
    this.#statuses = this.#connections * statusesPerConnection;
    const will = { ...this.#status, seq: this.#statuses + statusesPerConnection - 1, online: false };
    return {
      url: brokerUrl(connection),
      // A new id per connection: taking over an id does not silence the old holder at once on every broker.
      clientId: `${this.#node}-${this.#bootId.slice(0, 4)}-${this.#connections}`,
      username: connection.account,
      password: connection.password,
      will: {
        topic: this.#topics.nodeStatus(this.#node),
        payload: encode(will, 'json'),
        qos: 1 as const,
        retain: true,
      },
    };
  }

  async #up(transport: Transport): Promise<void> {
    transport.listen((topic, payload) => this.#hear(topic, payload));
    await transport.subscribe(
      [this.#topics.nodeInbox(this.#node), this.#topics.leader(), ...(this.#leader?.filters() ?? [])],
      1,
    );
    await this.#announce(transport);
    this.#leader?.connected();
    this.#markOnline();
    this.#log.info('online');
  }

  #publisher(): Publisher | undefined {
    const transport = this.#link?.transport;
    if (transport === undefined || this.#leader === undefined) return transport;
    const own = [this.#topics.nodeInbox(this.#node), this.#topics.nodeOutbox(this.#node)];
    return withShortcut(transport, own, (topic, payload) => this.#hear(topic, payload));
  }

  #announce(transport: Transport): Promise<void> {
    this.#statuses += 1;
    const status: NodeStatus = { ...this.#status, seq: this.#statuses, online: true };
    return transport.publish(this.#topics.nodeStatus(this.#node), encode(status, 'json'), { qos: 1, retain: true });
  }

  #hear(topic: string, payload: Uint8Array): void {
    const parsed = this.#topics.parse(topic);
    if (parsed === undefined) return;
    try {
      if (parsed.kind === 'inbox') this.#agent.hear(payload);
      else if (parsed.kind === 'leader') this.#hearLeader(payload);
      else this.#leader?.hear(parsed, topic, payload);
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      this.#report(topic, error);
    }
  }

  /** What is not what it should be is told, and otherwise ignored. */
  #report(topic: string, error: MeshError): void {
    const text = `${topic}: ${error.toLine()}`.slice(0, 1_000);
    this.#log.warn(text);
    const event: MeshEvent = { v: 1, source: this.#node, kind: 'message-refused', severity: 'warning', text };
    this.#link.transport
      ?.publish(this.#topics.events(), encode(event, 'json'), { qos: 0 })
      .catch((failure: unknown) => this.#log.debug(String(failure)));
  }

  /** A leader asks, by announcing itself, who is there. */
  #hearLeader(payload: Uint8Array): void {
    if (payload.length === 0) return;
    const hint = decode(leaderHint, payload);
    const before = this.#hint;
    if (before !== undefined && before.bootId === hint.bootId && before.seq === hint.seq) return;
    if (before !== undefined && hint.term < before.term) return; // a leader of the past
    this.#hint = hint;
    this.#holders = hint.holders;
    const transport = this.#link.transport;
    // On a first connection the status has just been published; the leader has not announced itself in answer to it.
    if (transport !== undefined) this.#announce(transport).catch((error: unknown) => this.#log.debug(String(error)));
  }

  async stop(): Promise<void> {
    this.#metrics.close();
    this.#heap.close();
    const transport = this.#link.transport;
    if (transport !== undefined) {
      const status: NodeStatus = { ...this.#status, seq: this.#statuses + 1, online: false };
      const said = transport
        .publish(this.#topics.nodeStatus(this.#node), encode(status, 'json'), { qos: 1, retain: true })
        .catch((error: unknown) => this.#log.debug(String(error))); // the will says the same
      await Promise.race([said, setTimeout(goodbyeMs, undefined, { ref: false })]);
    }
    await this.release();
  }

  /** Closes what has been opened, be it all or only some. */
  async release(): Promise<void> {
    await this.#leader?.close();
    await this.#agent?.close();
    await this.#link?.close();
    await this.#blobs?.close();
    await this.#cache?.close();
  }
}
