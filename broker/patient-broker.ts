import { Aedes, type AedesOptions, type AedesPublishPacket } from 'aedes';

type Deliver = (packet: AedesPublishPacket, delivered: () => void) => void;

/** One subscription's deliveries. */
interface Lane {
  /** Deliveries whose client has not taken them yet. */
  outstanding: number;
  /** It kept a publisher waiting for `patienceMs`; until it has caught up nobody waits for it. */
  late: boolean;
}

interface Waiting {
  readonly sinceMs: number;
  readonly lane: Lane;
  readonly release: () => void;
}

/**
 * Aedes holds every message until the sockets of all its subscribers took it: that slows a publisher down to what its
 * subscribers can read, and it lets one frozen subscriber stop everyone. Here a publisher waits for a slow subscriber for
 * `patienceMs` once, then no more until that one has caught up. What piles up meanwhile is bounded elsewhere
 * (`outgoingBytesPerClient`, `frozenMs`).
 */
export class PatientBroker extends Aedes {
  readonly #patienceMs: number;
  readonly #patient = new WeakMap<Deliver, Deliver>();
  /** Oldest first. */
  readonly #waiting = new Set<Waiting>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: AedesOptions, patienceMs: number) {
    super(options);
    this.#patienceMs = patienceMs;
  }

  override subscribe(topic: string, deliver: Deliver, callback: () => void): void {
    let patient = this.#patient.get(deliver);
    if (patient === undefined) {
      patient = this.#makePatient(deliver);
      this.#patient.set(deliver, patient);
    }
    super.subscribe(topic, patient, callback);
  }

  override unsubscribe(topic: string, deliver: Deliver, callback: () => void): void {
    super.unsubscribe(topic, this.#patient.get(deliver) ?? deliver, callback);
  }

  #makePatient(deliver: Deliver): Deliver {
    const lane: Lane = { outstanding: 0, late: false };
    return (packet, delivered) => {
      lane.outstanding += 1;
      if (lane.late) {
        deliver(packet, () => this.#arrived(lane));
        setImmediate(delivered);
        return;
      }
      const waiting: Waiting = { sinceMs: performance.now(), lane, release: delivered };
      this.#waiting.add(waiting);
      this.#timer ??= setTimeout(() => this.#releaseLate(), this.#patienceMs);
      deliver(packet, () => {
        this.#arrived(lane);
        if (this.#waiting.delete(waiting)) delivered();
      });
    };
  }

  #arrived(lane: Lane): void {
    lane.outstanding -= 1;
    if (lane.outstanding === 0) lane.late = false;
  }

  #releaseLate(): void {
    this.#timer = undefined;
    const sinceMs = performance.now() - this.#patienceMs;
    for (const waiting of this.#waiting) {
      if (waiting.sinceMs > sinceMs && !waiting.lane.late) break;
      waiting.lane.late = true;
      this.#waiting.delete(waiting);
      waiting.release();
    }
    if (this.#waiting.size > 0) this.#timer = setTimeout(() => this.#releaseLate(), this.#patienceMs / 4);
  }
}
