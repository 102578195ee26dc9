import type { Chance } from './chance.ts';
import type { Timeline } from './timeline.ts';

/** What differs between brokers that the contract must be portable to (measured; see docs/architecture.md). */
export interface BrokerProfile {
  readonly name: string;
  /** Whether a wildcard subscription is given what is retained. */
  readonly retainedToWildcards: boolean;
  /** How often a retained value is not the last. */
  readonly staleRetainedPercent: number;
  /** How long the old holder of a client id may go on after another took it. */
  readonly lingerMostMs: number;
}

export const brokerProfiles = {
  plain: { name: 'plain', retainedToWildcards: true, staleRetainedPercent: 0, lingerMostMs: 0 },
  nats: { name: 'nats', retainedToWildcards: true, staleRetainedPercent: 0, lingerMostMs: 3_000 },
  rabbit: { name: 'rabbit', retainedToWildcards: false, staleRetainedPercent: 30, lingerMostMs: 3_000 },
} as const satisfies Record<string, BrokerProfile>;

/** What messages meet on their way. */
export interface Weather {
  readonly delayMostMs: number;
  /** QoS 0 messages that vanish. */
  readonly lossPercent: number;
  /** QoS 1 messages that a broker with a full queue drops for one subscriber. */
  readonly dropPercent: number;
  /** QoS 1 messages that come twice, the second time behind later ones. */
  readonly duplicatePercent: number;
  /** Wills that never come; others come late, some twice. */
  readonly lostWillPercent: number;
}

export const calmWeather: Weather = {
  delayMostMs: 20,
  lossPercent: 0,
  dropPercent: 0,
  duplicatePercent: 0,
  lostWillPercent: 0,
};

export interface ConnectOptions {
  readonly clientId: string;
  /** Whose way to the broker it takes: faults of the network are faults of such a way. */
  readonly machine: string;
  readonly will?: { readonly topic: string; readonly payload: Uint8Array };
  readonly onMessage: (topic: string, payload: Uint8Array, retained: boolean) => void;
  readonly onClosed: (reason: string) => void;
}

export interface Published {
  readonly qos: 0 | 1;
  readonly retain?: boolean;
}

/** One connection with its two ends, which need not agree on whether it is open. */
export interface VirtualConnection {
  readonly id: number;
  readonly clientId: string;
  /** `done`: the broker has acknowledged it (QoS 1 only). */
  publish(topic: string, payload: Uint8Array, options: Published, done?: () => void): void;
  subscribe(filters: readonly string[], done: () => void): void;
  unsubscribe(filters: readonly string[]): void;
  /** In order: no will. */
  close(): void;
  /** The process is gone. */
  drop(): void;
}

interface Ends {
  readonly id: number;
  readonly options: ConnectOptions;
  clientOpen: boolean;
  brokerOpen: boolean;
  /** With their segments. */
  readonly filters: Map<string, readonly string[]>;
  /** When the last message upwards arrives: the next is not earlier. */
  upAtMs: number;
  /** The same downwards, for every publisher on its own. */
  readonly downAtMs: Map<number, number>;
}

interface Way {
  upBlockedUntilMs: number;
  downBlockedUntilMs: number;
}

const keepaliveMs = 15_000;
/** Of what a broker is asked to say when a client fell silent: it waits one and a half times the keepalive. */
const silenceMs = 1.5 * keepaliveMs;

/**
 * MQTT with a broker's guarantees and no more: order holds per publisher and subscriber; two subscribers may see two
 * publishers in different orders; what is retained is a cache; a will comes late, twice or never; QoS 1 may come twice, QoS
 * 0 not at all; a client that has given a connection up may still be heard on it (a stale flush).
 */
export class VirtualBroker {
  weather: Weather = calmWeather;
  readonly #time: Timeline;
  readonly #chance: Chance;
  readonly #profile: BrokerProfile;
  readonly #observe: (topic: string, payload: Uint8Array) => void;
  readonly #connections = new Set<Ends>();
  readonly #retained = new Map<string, Uint8Array>();
  readonly #ways = new Map<string, Way>();
  #downUntilMs = 0;
  #made = 0;

  constructor(
    time: Timeline,
    chance: Chance,
    profile: BrokerProfile,
    observe: (topic: string, payload: Uint8Array) => void = () => {},
  ) {
    this.#time = time;
    this.#chance = chance;
    this.#profile = profile;
    this.#observe = observe;
  }

  /** `done` gets the connection, or nothing when there is no way to the broker or it is down. */
  connect(options: ConnectOptions, done: (connection: VirtualConnection | undefined) => void): void {
    this.#time.after(2 * this.#delayMs(), () => {
      const way = this.#way(options.machine);
      const { nowMs } = this.#time;
      if (nowMs < Math.max(this.#downUntilMs, way.upBlockedUntilMs, way.downBlockedUntilMs)) {
        this.#time.after(this.#chance.between(10, 1_000), () => done(undefined));
        return;
      }
      for (const other of [...this.#connections]) {
        if (other.options.clientId === options.clientId && other.brokerOpen) this.#takeOver(other);
      }
      this.#made += 1;
      const ends: Ends = {
        id: this.#made,
        options,
        clientOpen: true,
        brokerOpen: true,
        filters: new Map(),
        upAtMs: nowMs,
        downAtMs: new Map(),
      };
      this.#connections.add(ends);
      done(this.#handle(ends));
    });
  }

  #handle(ends: Ends): VirtualConnection {
    return {
      id: ends.id,
      clientId: ends.options.clientId,
      publish: (topic, payload, options, done) => this.#publish(ends, topic, payload, options, done),
      subscribe: (filters, done) =>
        this.#up(ends, () => {
          for (const filter of filters) this.#subscribe(ends, filter);
          this.#down(ends, 0, () => done());
        }),
      unsubscribe: (filters) =>
        this.#up(ends, () => {
          for (const filter of filters) ends.filters.delete(filter);
        }),
      close: () => {
        if (!ends.clientOpen) return;
        this.#up(ends, () => this.#closeAtBroker(ends, false));
        ends.clientOpen = false;
      },
      drop: () => this.#dropAtClient(ends),
    };
  }

  #publish(ends: Ends, topic: string, payload: Uint8Array, { qos, retain }: Published, done?: () => void): void {
    if (qos === 0 && this.#chance.percent(this.weather.lossPercent)) return;
    this.#up(ends, () => {
      this.#route(ends.id, topic, payload, qos, retain === true);
      if (qos === 1 && done !== undefined) this.#down(ends, -1, done);
    });
  }

  #route(publisher: number, topic: string, payload: Uint8Array, qos: 0 | 1, retain: boolean): void {
    this.#observe(topic, payload);
    if (retain) {
      const stale = this.#retained.has(topic) && this.#chance.percent(this.#profile.staleRetainedPercent);
      if (payload.length === 0) this.#retained.delete(topic);
      else if (!stale) this.#retained.set(topic, payload);
    }
    const segments = topic.split('/');
    for (const ends of this.#connections) {
      if (ends.brokerOpen && matchesAny(ends.filters, topic, segments))
        this.#deliver(ends, publisher, topic, payload, qos);
    }
  }

  #deliver(ends: Ends, publisher: number, topic: string, payload: Uint8Array, qos: 0 | 1): void {
    const { lossPercent, dropPercent, duplicatePercent, delayMostMs } = this.weather;
    if (this.#chance.percent(qos === 0 ? lossPercent : dropPercent)) return;
    const arrive = () => ends.options.onMessage(topic, payload, false);
    const atMs = this.#down(ends, publisher, arrive);
    if (qos === 0 || !this.#chance.percent(duplicatePercent)) return;
    this.#time.at(atMs + this.#chance.between(0, 3 * delayMostMs), () => {
      if (ends.clientOpen) arrive();
    });
  }

  #subscribe(ends: Ends, filter: string): void {
    const wanted = filter.split('/');
    ends.filters.set(filter, wanted);
    if (filter.includes('+') && !this.#profile.retainedToWildcards) return;
    for (const [topic, payload] of this.#retained) {
      if (matches(wanted, topic.split('/'))) this.#down(ends, -2, () => ends.options.onMessage(topic, payload, true));
    }
  }

  /** Client to broker, in order. */
  #up(ends: Ends, arrive: () => void): void {
    if (!ends.clientOpen) return;
    const { upBlockedUntilMs } = this.#way(ends.options.machine);
    ends.upAtMs = Math.max(ends.upAtMs, upBlockedUntilMs, this.#time.nowMs + this.#delayMs());
    this.#time.at(ends.upAtMs, () => {
      if (ends.brokerOpen) arrive();
    });
  }

  /** Broker to client, in order for one publisher. */
  #down(ends: Ends, publisher: number, arrive: () => void): number {
    const { downBlockedUntilMs } = this.#way(ends.options.machine);
    const before = ends.downAtMs.get(publisher) ?? 0;
    const atMs = Math.max(before, Math.max(downBlockedUntilMs, this.#time.nowMs) + this.#delayMs());
    ends.downAtMs.set(publisher, atMs);
    this.#time.at(atMs, () => {
      if (ends.clientOpen) arrive();
    });
    return atMs;
  }

  #delayMs(): number {
    return this.#chance.between(1, this.weather.delayMostMs);
  }

  #way(machine: string): Way {
    const known = this.#ways.get(machine);
    if (known !== undefined) return known;
    const way: Way = { upBlockedUntilMs: 0, downBlockedUntilMs: 0 };
    this.#ways.set(machine, way);
    return way;
  }

  // Ends of connections.

  #dropAtClient(ends: Ends): void {
    if (!ends.clientOpen) return;
    ends.clientOpen = false;
    // The broker hears of it when the way is open, or finds out by the silence.
    const way = this.#way(ends.options.machine);
    const heardMs = Math.max(way.upBlockedUntilMs, ends.upAtMs, this.#time.nowMs) + this.#delayMs();
    this.#time.at(Math.min(heardMs, this.#time.nowMs + silenceMs), () => this.#closeAtBroker(ends, true));
  }

  #closeAtBroker(ends: Ends, publishesWill: boolean): void {
    if (!ends.brokerOpen) return;
    ends.brokerOpen = false;
    this.#connections.delete(ends);
    if (publishesWill) this.#publishWill(ends);
  }

  #closeBoth(ends: Ends, reason: string, publishesWill: boolean): void {
    this.#closeAtBroker(ends, publishesWill);
    this.#time.after(this.#delayMs(), () => this.#closeAtClient(ends, reason));
  }

  #closeAtClient(ends: Ends, reason: string): void {
    if (!ends.clientOpen) return;
    this.#dropAtClient(ends);
    ends.options.onClosed(reason);
  }

  /** A last will is a hint. */
  #publishWill(ends: Ends): void {
    const { will } = ends.options;
    if (will === undefined) return;
    const { lostWillPercent } = this.weather;
    if (this.#chance.percent(lostWillPercent)) return;
    const lateMs = lostWillPercent === 0 ? 100 : this.#chance.between(0, 3 * keepaliveMs);
    const publish = () => this.#route(-ends.id, will.topic, will.payload, 1, true);
    this.#time.after(lateMs, publish);
    if (this.#chance.percent(lostWillPercent)) this.#time.after(lateMs + this.#chance.between(0, keepaliveMs), publish);
  }

  #takeOver(old: Ends): void {
    const lingerMs = this.#chance.between(0, this.#profile.lingerMostMs);
    this.#time.after(this.#delayMs(), () => {
      const wasOpen = old.clientOpen;
      if (wasOpen) {
        old.clientOpen = false;
        old.options.onClosed('another client took the id');
      }
    });
    this.#time.after(lingerMs, () => this.#closeAtBroker(old, true));
  }

  // Faults.

  /** Messages of a machine wait; past the keepalive each end gives the connection up on its own. */
  block(machine: string, direction: 'up' | 'down' | 'both', forMs: number): void {
    const way = this.#way(machine);
    const untilMs = this.#time.nowMs + forMs;
    if (direction !== 'down') way.upBlockedUntilMs = Math.max(way.upBlockedUntilMs, untilMs);
    if (direction !== 'up') way.downBlockedUntilMs = Math.max(way.downBlockedUntilMs, untilMs);
    const isBlocked = (one: 'up' | 'down') =>
      (one === 'up' ? way.upBlockedUntilMs : way.downBlockedUntilMs) > this.#time.nowMs;
    for (const ends of this.#connections) {
      if (ends.options.machine !== machine) continue;
      this.#time.after(silenceMs, () => {
        if (!isBlocked('up')) return;
        this.#closeAtBroker(ends, true);
        // The client's next packet is answered by a reset, once one gets through.
        this.#time.at(Math.max(way.upBlockedUntilMs, way.downBlockedUntilMs) + this.#delayMs(), () =>
          this.#closeAtClient(ends, 'the broker had given it up'),
        );
      });
      this.#time.after(this.#chance.between(keepaliveMs, silenceMs), () => {
        if (isBlocked('up') || isBlocked('down')) this.#closeAtClient(ends, 'no answer to a ping');
      });
    }
  }

  /** A subscriber that reads nothing: the broker ends its connection when its patience does. */
  freeze(machine: string, forMs: number, patienceMs = 10_000): void {
    const way = this.#way(machine);
    way.downBlockedUntilMs = Math.max(way.downBlockedUntilMs, this.#time.nowMs + forMs);
    if (forMs < patienceMs) return;
    for (const ends of [...this.#connections]) {
      if (ends.options.machine !== machine) continue;
      this.#time.after(patienceMs, () => this.#closeBoth(ends, 'too slow', true));
    }
  }

  /**
   * A stale flush: what a machine publishes on its connections gets stuck on the way; it gives them up and makes new ones,
   * and the old ones' messages arrive among those of the new.
   */
  stall(machine: string, forMs: number): void {
    for (const ends of [...this.#connections]) {
      if (ends.options.machine !== machine) continue;
      ends.upAtMs = Math.max(ends.upAtMs, this.#time.nowMs + Math.min(forMs, keepaliveMs));
      this.#time.after(this.#chance.between(0, forMs >> 1), () => this.#closeAtClient(ends, 'nothing comes back'));
    }
  }

  /** Its connections end, the client notices at once. */
  cut(machine: string): void {
    for (const ends of [...this.#connections])
      if (ends.options.machine === machine) this.#closeBoth(ends, 'reset', true);
  }

  /** Somebody else connects with the id that a machine uses. */
  clash(machine: string): void {
    for (const ends of [...this.#connections]) if (ends.options.machine === machine) this.#takeOver(ends);
  }

  restart(downMs: number, keepsStore: boolean): void {
    this.#downUntilMs = this.#time.nowMs + downMs;
    for (const ends of [...this.#connections]) this.#closeBoth(ends, 'the broker is gone', false);
    if (!keepsStore) this.#retained.clear();
  }

  /** Every way is open again. */
  mend(): void {
    this.weather = calmWeather;
    this.#downUntilMs = Math.min(this.#downUntilMs, this.#time.nowMs);
    for (const way of this.#ways.values()) {
      way.upBlockedUntilMs = Math.min(way.upBlockedUntilMs, this.#time.nowMs);
      way.downBlockedUntilMs = Math.min(way.downBlockedUntilMs, this.#time.nowMs);
    }
  }
}

/** Topic filters with `+`; `#` is not used in a mesh. */
function matches(filter: readonly string[], topic: readonly string[]): boolean {
  if (filter.length !== topic.length) return false;
  for (let at = filter.length - 1; at >= 0; at -= 1) if (filter[at] !== '+' && filter[at] !== topic[at]) return false;
  return true;
}

function matchesAny(
  filters: ReadonlyMap<string, readonly string[]>,
  topic: string,
  segments: readonly string[],
): boolean {
  if (filters.has(topic)) return true;
  for (const [filter, wanted] of filters) if (filter.includes('+') && matches(wanted, segments)) return true;
  return false;
}
