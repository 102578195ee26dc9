import {
  decode,
  encode,
  type InboxEnvelope,
  inboxEnvelope,
  type LeaderHint,
  leaderHint,
  type NodeStatus,
  type ParsedTopic,
} from '@foremesh/node-runtime/contract';
import type { AgentOffer } from '@foremesh/node-runtime/core';
import { Violation } from '../checks/violation.ts';
import type { VirtualConnection } from '../engine/broker.ts';
import { Lifetime, type Machine } from '../engine/machine.ts';
import { publicKeyOf } from '../scenario/keys.ts';
import type { World } from '../world.ts';
import { VirtualAgent } from './agent.ts';
import { VirtualLogStore } from './log-store.ts';
import { VirtualTrust } from './trust.ts';
import { sampleIntervalMs, VirtualVitals } from './vitals.ts';
import type { VirtualVoter } from './voter.ts';
import { VirtualVoterLink } from './voter-link.ts';

export interface VirtualNodeOptions {
  readonly machine: Machine;
  readonly offer: AgentOffer;
  readonly labels: readonly string[];
  readonly isFounder: boolean;
  readonly mayLead: boolean;
}

const statusesPerConnection = 1_000;
/** Whoever supervises the runtime starts it again. */
const restartMs = 3_000;
const backoffMs = { least: 200, most: 5_000 };

/** The runtime of one machine: a process that comes and goes, a disk that stays. As `shell/node.ts` and `shell/link.ts`. */
export class VirtualNode {
  readonly #world: World;
  #options: VirtualNodeOptions;
  #process: NodeProcess | undefined;
  #boots = 0;
  #identities = 1;

  constructor(world: World, options: VirtualNodeOptions) {
    this.#world = world;
    this.#options = options;
  }

  get machine(): Machine {
    return this.#options.machine;
  }

  get id(): string {
    return this.machine.id;
  }

  get voter(): VirtualVoter | undefined {
    return this.#process?.voter?.voter;
  }

  get mayLead(): boolean {
    return this.#options.mayLead;
  }

  get process(): NodeProcess | undefined {
    return this.#process;
  }

  start(): void {
    if (this.#process !== undefined) return;
    this.#boots += 1;
    this.#say(`${this.id} starts`);
    this.#process = new NodeProcess(this.#world, this.#options, `${this.id}-${this.#boots}`, (error) => {
      this.#say(`${this.id} ends: ${error.message}`);
      this.crash('kill');
      this.#world.time.after(restartMs, () => this.start());
    });
    this.#process.start();
  }

  crash(how: 'kill' | 'power' | 'wipe'): void {
    if (this.#process === undefined) return;
    this.#say(`${this.id} dies (${how})`);
    this.#process.end();
    this.#process = undefined;
    const { machine } = this;
    machine.disk.crash(how !== 'kill');
    if (how !== 'wipe') return;
    machine.disk.wipe();
    this.#world.checks.diskWasLost(this.id);
    // Whoever has forgotten what it promised must not go on under the name in which it did.
    this.#identities += 1;
    const id = `${machine.hardware}-again${this.#identities}`;
    this.#options = { ...this.#options, machine: { ...machine, id }, isFounder: false };
  }

  #say(line: string): void {
    this.#world.trace.say(this.#world.time.nowMs, line);
  }
}

/** One life of the runtime. */
class NodeProcess {
  voter: VirtualVoterLink | undefined;
  readonly #world: World;
  readonly #options: VirtualNodeOptions;
  readonly #bootId: string;
  readonly #life: Lifetime;
  readonly #agent: VirtualAgent;
  readonly #vitals: VirtualVitals;
  readonly #trust: VirtualTrust;
  readonly #onFatal: (error: Error) => void;
  #connection: VirtualConnection | undefined;
  #isUp = false;
  #connections = 0;
  #failures = 0;
  #statuses = 0;
  #metrics = 0;
  #hint: LeaderHint | undefined;

  constructor(world: World, options: VirtualNodeOptions, bootId: string, onFatal: (error: Error) => void) {
    this.#world = world;
    this.#options = options;
    this.#bootId = bootId;
    this.#life = new Lifetime(options.machine);
    this.#onFatal = onFatal;
    this.#trust = new VirtualTrust(options.machine.disk);
    const shared = { world, life: this.#life, bootId, connection: () => this.#publisher() };
    this.#vitals = new VirtualVitals(world, this.#life, 2 * options.offer.memoryBytes);
    this.#agent = new VirtualAgent({ ...shared, offer: options.offer, trust: this.#trust, vitals: this.#vitals });
  }

  start(): void {
    const { isFounder, mayLead, machine } = this.#options;
    if (isFounder || (mayLead && VirtualLogStore.isThere(machine))) this.#openVoter();
    this.#connect();
    this.#life.every(sampleIntervalMs, () => this.#publishMetrics());
  }

  #openVoter(): VirtualVoterLink {
    const { isFounder, machine } = this.#options;
    const voter = new VirtualVoterLink({
      world: this.#world,
      life: this.#life,
      bootId: this.#bootId,
      founders: isFounder ? [machine.id] : [],
      connection: () => this.#publisher(),
      subscriptions: () => this.#connection,
      trust: this.#trust,
      onAnnounce: (hint) => this.#obey(hint),
      onFatal: this.#onFatal,
    });
    this.voter = voter;
    voter.voter.start();
    return voter;
  }

  end(): void {
    this.#life.ended = true;
    this.#connection?.drop();
  }

  /** The term of the leader that it obeys. */
  get term(): number {
    return this.#trust.term;
  }

  leftovers(): string[] {
    return this.#agent.leftovers();
  }

  // The connection.

  #connect(): void {
    const { id, hardware } = this.#options.machine;
    this.#connections += 1;
    this.#statuses = this.#connections * statusesPerConnection;
    const will = this.#status(false, this.#statuses + statusesPerConnection - 1);
    const mine = (connection: VirtualConnection | undefined) => this.#connection === connection;
    let made: VirtualConnection | undefined;
    this.#world.broker.connect(
      {
        clientId: `${this.#bootId}-${this.#connections}`,
        machine: hardware,
        will: { topic: this.#world.topics.nodeStatus(id), payload: encode(will, 'json') },
        onMessage: this.#life.wrap((topic: string, payload: Uint8Array) => {
          if (mine(made)) this.#hear(topic, payload);
        }),
        onClosed: this.#life.wrap((reason: string) => {
          if (mine(made)) this.#down(reason);
        }),
      },
      (connection) => {
        if (this.#life.ended) connection?.drop();
        else {
          made = connection;
          this.#options.machine.clock.now(() => {
            if (this.#life.ended) connection?.drop();
            else if (connection === undefined) this.#again();
            else this.#up(connection);
          });
        }
      },
    );
  }

  /** Subscribes, says that it is there, and only then counts as connected. */
  #up(connection: VirtualConnection): void {
    const { topics } = this.#world;
    const { id } = this.#options.machine;
    this.#connection = connection;
    const raft = this.#options.mayLead ? [topics.raft(id, '+')] : [];
    const filters = [topics.nodeInbox(id), topics.leader(), ...raft, ...(this.voter?.filters() ?? [])];
    const go = this.#life.wrap(() => {
      if (this.#connection !== connection) return;
      this.#announce(
        this.#life.wrap(() => {
          if (this.#connection !== connection) return;
          this.#isUp = true;
          this.#failures = 0;
          this.voter?.connected();
        }),
      );
    });
    connection.subscribe(filters, go);
  }

  #down(reason: string): void {
    this.#world.trace.say(this.#world.time.nowMs, `${this.#options.machine.id} lost its connection: ${reason}`);
    this.#connection = undefined;
    if (this.#isUp) this.voter?.disconnected();
    this.#isUp = false;
    this.#again();
  }

  #again(): void {
    this.#failures += 1;
    const { chance } = this.#options.machine;
    const { least, most } = backoffMs;
    this.#life.after(chance.next() * Math.min(most, least * 2 ** this.#failures) + least / 2, () => this.#connect());
  }

  /** A leader and the node in its own process talk past the broker, as long as there is a connection. */
  #publisher(): Pick<VirtualConnection, 'publish'> | undefined {
    const connection = this.#connection;
    if (connection === undefined || this.voter === undefined) return connection;
    const { topics } = this.#world;
    const { id } = this.#options.machine;
    const own = [topics.nodeInbox(id), topics.nodeOutbox(id)];
    return {
      publish: (topic, payload, options, done) => {
        if (!own.includes(topic) || this.voter?.voter.isElected !== true)
          connection.publish(topic, payload, options, done);
        else this.#life.after(0, () => this.#hear(topic, payload));
      },
    };
  }

  // What it says and hears.

  #status(online: boolean, seq: number): NodeStatus {
    const { machine, offer, labels } = this.#options;
    const { slots, queue, memoryBytes } = offer;
    return {
      v: 1,
      node: machine.id,
      bootId: this.#bootId,
      seq,
      online,
      release: '0.1.0',
      arch: 'x64',
      platform: 'linux',
      cores: 4,
      memoryBytes: 2 * memoryBytes,
      engines: ['js'],
      speed: { js: 1 },
      labels: [...labels],
      share: 1,
      slots,
      queue,
      offeredMemoryBytes: memoryBytes,
      mayLead: this.#options.mayLead,
      publicKey: publicKeyOf(machine.id),
      admission: 'A'.repeat(43), // everybody is let in here
    };
  }

  #announce(done?: () => void): void {
    this.#statuses += 1;
    const topic = this.#world.topics.nodeStatus(this.#options.machine.id);
    this.#connection?.publish(
      topic,
      encode(this.#status(true, this.#statuses), 'json'),
      { qos: 1, retain: true },
      done,
    );
  }

  #publishMetrics(): void {
    const { id } = this.#options.machine;
    this.#metrics += 1;
    const metrics = { v: 1, node: id, bootId: this.#bootId, seq: this.#metrics, samples: [this.#vitals.sample(0)] };
    this.#connection?.publish(this.#world.topics.nodeMetrics(id), encode(metrics, 'cbor'), { qos: 0 });
  }

  #hear(topic: string, payload: Uint8Array): void {
    const parsed = this.#world.topics.parse(topic);
    if (parsed === undefined) return;
    if (parsed.kind === 'inbox') this.#hearInbox(decode(inboxEnvelope, payload));
    else if (parsed.kind === 'leader') this.#hearLeader(payload);
    else if (parsed.kind === 'raft') this.#hearRaft(parsed, payload);
    else this.voter?.hear(parsed, payload);
  }

  /** Whoever is spoken to as a voter, by the leader that was proven, begins an empty log, if it has none. */
  #hearRaft(parsed: ParsedTopic & { kind: 'raft' }, payload: Uint8Array): void {
    if (this.voter !== undefined) {
      this.voter.hear(parsed, payload);
      return;
    }
    if (this.#trust.keyOf(parsed.from) === undefined) return;
    const opened = this.#openVoter();
    this.#connection?.subscribe(opened.filters(), () => {});
    if (this.#isUp) opened.connected();
  }

  #hearInbox(envelope: InboxEnvelope): void {
    if (this.#trust.obeys(envelope)) this.#agent.hear(envelope);
  }

  #hearLeader(payload: Uint8Array): void {
    if (payload.length === 0) return;
    const hint = decode(leaderHint, payload);
    // A leader of the past, and perhaps what the broker keeps now: a node that is new would wait for it for ever.
    if (hint.term < this.#trust.term) this.voter?.remindWhoLeads();
    else this.#obey(hint);
    for (const waited of this.#trust.proven()) this.#hearInbox(waited);
  }

  /** The node of a leader obeys it by the same proof as all others. */
  #obey(hint: LeaderHint): void {
    try {
      const doubts = this.#trust.doubts(hint);
      this.#world.checks.nodeBelieves(this.#options.machine.id, this.#trust.term);
      if (doubts !== undefined) {
        const { id } = this.#options.machine;
        this.#world.trace.say(this.#world.time.nowMs, `${id} does not believe ${hint.node}: ${doubts}`);
        return;
      }
    } catch (error) {
      if (error instanceof Violation) throw error;
      this.#onFatal(error as Error);
      return;
    }
    this.#follow(hint);
  }

  /** A leader asks, by announcing itself, who is there. */
  #follow(hint: LeaderHint): void {
    const before = this.#hint;
    if (before !== undefined && before.bootId === hint.bootId && before.seq === hint.seq) return;
    this.#hint = hint;
    this.#announce();
  }
}
