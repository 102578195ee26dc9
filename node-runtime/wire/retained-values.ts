import type { Timer, Timers } from './timers.ts';

export interface Published {
  readonly qos: 0 | 1;
  readonly retain?: boolean;
}

/** Publishes, if there is a connection; `acknowledged` runs when the broker has it (QoS 1). */
export type Publish = (topic: string, payload: Uint8Array, options: Published, acknowledged?: () => void) => void;

export interface RetainedValuesOptions {
  readonly timers: Timers;
  readonly publish: Publish;
  /** Whether what is due may be said now. */
  readonly maySpeak: () => boolean;
  /** How long a patient value waits for a newer one. */
  readonly patienceMs: number;
}

/** Retained values on their way to the broker: the newest of each topic, said until it is acknowledged. */
export class RetainedValues {
  readonly #options: RetainedValuesOptions;
  /** They are published again on the next connection. */
  readonly #unacknowledged = new Map<string, Uint8Array>();
  /** Of these, the ones to be published in the next turn. */
  readonly #due = new Set<string>();
  /** And the ones to be published a moment later, unless something newer comes. */
  readonly #patient = new Set<string>();
  #patience: Timer | undefined;

  constructor(options: RetainedValuesOptions) {
    this.#options = options;
  }

  connected(): void {
    for (const [topic, payload] of this.#unacknowledged) this.set(topic, payload);
  }

  /**
   * A broker takes what is retained to its disk, and with some brokers what comes behind it from the same connection waits: so
   * it is published last of what a step gives.
   */
  set(topic: string, payload: Uint8Array): void {
    this.#unacknowledged.set(topic, payload);
    if (this.#patient.delete(topic) && this.#patient.size === 0) this.#endPatience();
    this.#due.add(topic);
    if (this.#due.size === 1) this.#options.timers.nextTurn(() => this.#publish());
  }

  clear(topic: string): void {
    this.set(topic, new Uint8Array());
  }

  /** What is news only when nothing newer comes at once. */
  setPatiently(topic: string, payload: Uint8Array): void {
    const { timers, patienceMs } = this.#options;
    this.#unacknowledged.set(topic, payload);
    this.#patient.add(topic);
    this.#patience ??= timers.after(patienceMs, () => {
      this.#patience = undefined;
      for (const each of this.#patient) this.#due.add(each);
      this.#patient.clear();
      this.#publish();
    });
  }

  #endPatience(): void {
    this.#patience?.cancel();
    this.#patience = undefined;
  }

  #publish(): void {
    const { maySpeak, publish } = this.#options;
    if (!maySpeak()) return;
    const topics = [...this.#due];
    this.#due.clear();
    for (const topic of topics) {
      const payload = this.#unacknowledged.get(topic); // the newest; none when that has arrived already
      if (payload === undefined) continue;
      publish(topic, payload, { qos: 1, retain: true }, () => {
        if (this.#unacknowledged.get(topic) === payload) this.#unacknowledged.delete(topic);
      });
    }
  }

  /** Nothing of it is to be said any more. */
  forget(): void {
    this.#unacknowledged.clear();
    this.#due.clear();
    this.#patient.clear();
    this.#endPatience();
  }
}
