import { limits, MeshError } from '../../contract/index.ts';

const minuteMs = 60_000;

/** Time that may be spent: it fills up evenly, and may be spent at once. Whoever has some left may begin, however long that takes. */
class Bucket {
  readonly mostMs: number;
  #leftMs: number;
  #atMs: number;

  constructor(mostMs: number, nowMs: number) {
    this.mostMs = mostMs;
    this.#leftMs = mostMs;
    this.#atMs = nowMs;
  }

  leftMs(nowMs: number): number {
    this.#leftMs = Math.min(this.mostMs, this.#leftMs + ((nowMs - this.#atMs) / minuteMs) * this.mostMs);
    this.#atMs = nowMs;
    return this.#leftMs;
  }

  spend(ms: number): void {
    this.#leftMs -= ms;
  }

  /** How long until there is something left. */
  dueMs(nowMs: number): number {
    return (Math.max(0, -this.leftMs(nowMs)) / this.mostMs) * minuteMs;
  }
}

/**
 * What a leader computes for people who ask for plans, `planMsPerAccount` and `planMsOfAll` of each minute: a leader that plans does nothing
 * else. By the time that plans take, since one may take a thousand times as long as another.
 */
export class PlanBudget {
  readonly #now: () => number;
  readonly #ofAll: Bucket;
  readonly #accounts = new Map<string, Bucket>();

  /** `now`: milliseconds of a clock that does not jump. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#ofAll = new Bucket(limits.planMsOfAll, now());
  }

  /** Throws `MESH_LIMIT_EXCEEDED`, which says when to ask again, if the account, or all together, have had their time. */
  check(account: string): void {
    const nowMs = this.#now();
    const own = this.#accounts.get(account);
    if (own !== undefined && own.leftMs(nowMs) <= 0)
      throw spent('planMsPerAccount', `account ${account}`, own.dueMs(nowMs));
    if (this.#ofAll.leftMs(nowMs) <= 0) throw spent('planMsOfAll', 'all accounts', this.#ofAll.dueMs(nowMs));
  }

  /** The same, and what `plan` takes is spent. */
  spend<T>(account: string, plan: () => T): T {
    this.check(account);
    const beganMs = this.#now();
    try {
      return plan();
    } finally {
      const nowMs = this.#now();
      for (const [name, bucket] of this.#accounts)
        if (bucket.leftMs(nowMs) === bucket.mostMs) this.#accounts.delete(name);
      const own = this.#accounts.get(account) ?? new Bucket(limits.planMsPerAccount, nowMs);
      this.#accounts.set(account, own);
      own.spend(nowMs - beganMs);
      this.#ofAll.spend(nowMs - beganMs);
    }
  }
}

function spent(limit: 'planMsPerAccount' | 'planMsOfAll', whose: string, dueMs: number): MeshError {
  const message = `${limit} is ${limits[limit]}: the leader has planned as long as that in a minute for ${whose}`;
  const seconds = Math.max(1, Math.ceil(dueMs / 1_000));
  return new MeshError('MESH_LIMIT_EXCEEDED', message, { mend: `ask again in ${seconds} s` });
}
