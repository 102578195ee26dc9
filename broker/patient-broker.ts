import { Aedes, type AedesOptions, type AedesPublishPacket, type Client, type PublishPacket } from 'aedes';
import { writeToStream } from 'mqtt-packet';

// Its cache of all 65536 packet identifiers takes 6 MB, to save the making of two bytes.
writeToStream.cacheNumbers = false;

type PublishDone = (error?: Error | null) => void;
type Deliver = (packet: AedesPublishPacket, delivered: () => void) => void;

/** What is on its way to one client. */
interface Lane {
  /** Messages that the client's socket has not taken yet. */
  outstanding: number;
  /** It kept a publisher waiting for `patienceMs`; until it has caught up nobody waits for it. */
  late: boolean;
}

/** A publish that was begun before Aedes asks for it. */
interface BegunPublish {
  /** What came of it, once it has ended. */
  ended: { readonly error: Error | null | undefined } | undefined;
  done: PublishDone | undefined;
}

interface Delivery {
  readonly sinceMs: number;
  readonly release: () => void;
  lane: Lane | undefined;
  taken: boolean;
}

/**
 * Aedes holds every message until the sockets of all its subscribers took it: that slows a publisher down to what its
 * subscribers can read, and it lets one frozen subscriber stop everyone. Here a publisher waits for a slow subscriber for
 * `patienceMs` once, then no more until that one has caught up. What piles up meanwhile is bounded elsewhere
 * (`outgoingBytesPerClient`, `outgoingMessagesPerClient`, `frozenMs`).
 */
export class PatientBroker extends Aedes {
  readonly #patienceMs: number;
  readonly #patient = new WeakMap<Deliver, Deliver>();
  readonly #lanes = new WeakMap<Client, Lane>();
  /** Oldest first. */
  readonly #waiting = new Set<Delivery>();
  readonly #begun = new WeakMap<object, BegunPublish>();
  #timer: NodeJS.Timeout | undefined;
  #forwarding: Client | undefined;

  constructor(options: AedesOptions & Required<Pick<AedesOptions, 'authorizeForward'>>, patienceMs: number) {
    const { authorizeForward } = options;
    super({
      ...options,
      authorizeForward: (client, packet) => {
        // Called while a subscription's `deliver` runs: it tells whose subscription that is.
        this.#forwarding = client;
        return authorizeForward(client, packet);
      },
    });
    this.#patienceMs = patienceMs;
  }

  /** Messages that are on their way to the client. */
  outstanding(client: Client): number {
    return this.#lanes.get(client)?.outstanding ?? 0;
  }

  /**
   * Delivers a client's message before it is acknowledged. Aedes acknowledges first and publishes then: subscribers would wait
   * for the disk as the publisher has to. When it comes to publish this packet, it only waits for what was begun here.
   */
  begin(packet: PublishPacket, client: Client): void {
    const begun: BegunPublish = { ended: undefined, done: undefined };
    this.#begun.set(packet, begun);
    // Each in a turn of its own: Aedes numbers messages as they come and drops one that a later number has overtaken, which a
    // message that takes more promises to be published would be.
    setImmediate(() =>
      this.#publish(packet, client, (error) => {
        begun.ended = { error };
        begun.done?.(error);
      }),
    );
  }

  /** Aedes calls it with the client between the two, which its types do not tell. */
  override publish(packet: PublishPacket, ...rest: unknown[]): void {
    const [client, done] = (rest.length > 1 ? rest : [null, rest[0]]) as [Client | null, PublishDone];
    const begun = this.#begun.get(packet);
    if (begun === undefined) this.#publish(packet, client, done);
    else if (begun.ended === undefined) begun.done = done;
    else done(begun.ended.error);
  }

  #publish(packet: PublishPacket, client: Client | null, done: PublishDone): void {
    const publish = super.publish as (packet: PublishPacket, ...rest: never[]) => void;
    Reflect.apply(publish, this, [packet, client, done]);
  }

  override subscribe(topic: string, deliver: Deliver, callback: () => void): void {
    let patient = this.#patient.get(deliver);
    if (patient === undefined) {
      patient = (packet, delivered) => this.#deliver(deliver, packet, delivered);
      this.#patient.set(deliver, patient);
    }
    super.subscribe(topic, patient, callback);
  }

  override unsubscribe(topic: string, deliver: Deliver, callback: () => void): void {
    super.unsubscribe(topic, this.#patient.get(deliver) ?? deliver, callback);
  }

  #deliver(deliver: Deliver, packet: AedesPublishPacket, delivered: () => void): void {
    const delivery: Delivery = { sinceMs: performance.now(), release: delivered, lane: undefined, taken: false };
    this.#forwarding = undefined;
    deliver(packet, () => this.#taken(delivery));
    if (delivery.taken) {
      delivered();
      return;
    }
    const lane = this.#laneOf(this.#forwarding);
    delivery.lane = lane;
    lane.outstanding += 1;
    if (lane.late) {
      setImmediate(delivered);
      return;
    }
    this.#waiting.add(delivery);
    this.#timer ??= setTimeout(() => this.#releaseLate(), this.#patienceMs);
  }

  #taken(delivery: Delivery): void {
    delivery.taken = true;
    const { lane } = delivery;
    if (lane === undefined) return;
    lane.outstanding -= 1;
    if (lane.outstanding === 0) lane.late = false;
    if (this.#waiting.delete(delivery)) delivery.release();
  }

  #laneOf(client: Client | undefined): Lane {
    let lane = client === undefined ? undefined : this.#lanes.get(client);
    if (lane === undefined) {
      lane = { outstanding: 0, late: false };
      if (client !== undefined) this.#lanes.set(client, lane);
    }
    return lane;
  }

  #releaseLate(): void {
    this.#timer = undefined;
    const sinceMs = performance.now() - this.#patienceMs;
    for (const delivery of this.#waiting) {
      const { lane } = delivery;
      if (delivery.sinceMs > sinceMs && !lane?.late) break;
      if (lane !== undefined) lane.late = true;
      this.#waiting.delete(delivery);
      delivery.release();
    }
    if (this.#waiting.size > 0) this.#timer = setTimeout(() => this.#releaseLate(), this.#patienceMs / 4);
  }
}
