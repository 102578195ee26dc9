import { bodyOf, decode, type LeaderHint, leaderHint, MeshError, type Topics } from '../contract/index.ts';
import type { MeshLink, Watch } from './mesh-link.ts';
import { noAnswer } from './problems.ts';
import { ChangeSignal } from './signal.ts';
import type { Timing } from './timing.ts';

/** Where blobs are put: from the leader's retained hint, looked at once it is needed. */
export class Holders {
  readonly #link: MeshLink;
  readonly #topic: string;
  readonly #timing: Timing;
  readonly #changed = new ChangeSignal();
  #watch: Watch | undefined;
  #hint: LeaderHint | undefined;

  constructor(link: MeshLink, topics: Topics, timing: Timing) {
    this.#link = link;
    this.#topic = topics.leader();
    this.#timing = timing;
  }

  get names(): readonly string[] {
    return this.#hint?.holders ?? [];
  }

  /** Resolves when holders are known. Throws `MESH_NO_LEADER` when nobody says so in time. */
  async known(): Promise<void> {
    this.#watch ??= this.#link.watch([this.#topic], (payload) => this.#take(payload));
    const deadlineMs = performance.now() + this.#timing.queryTimeoutMs;
    const timer = setTimeout(() => this.#changed.fire(), this.#timing.queryTimeoutMs + 1);
    try {
      while (this.#hint === undefined) {
        if (this.#link.closed) throw new MeshError('MESH_UNREACHABLE', 'the client was closed');
        if (performance.now() >= deadlineMs)
          throw noAnswer(this.#link.transport !== undefined, 'asked where blobs are put');
        await this.#changed.next();
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #take(payload: Uint8Array): void {
    try {
      // A client knows no keys: it takes the hint as it is, sealed or not.
      const hint = decode(leaderHint, bodyOf(payload));
      if (this.#hint === undefined || isLater(hint, this.#hint)) this.#hint = hint;
    } catch {
      return; // malformed or cleared: the one before stays
    }
    this.#changed.fire();
  }
}

function isLater(hint: LeaderHint, than: LeaderHint): boolean {
  // Within a term a restarted leader counts from anew: its hint has another bootId.
  return hint.term !== than.term ? hint.term > than.term : hint.bootId !== than.bootId || hint.seq > than.seq;
}
