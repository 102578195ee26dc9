import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Role } from './access.ts';
import { type AccountFile, type AccountRecord, accountsFile, chosenCost, derive, keyBytes } from './account-file.ts';
import type { HomeFile } from './home-file.ts';
import { type BrokerLimits, brokerLimits } from './limits.ts';

/** What a login came to. `busy`: too many passwords are being checked; the client shall come again. */
export type Verdict = 'right' | 'wrong' | 'busy';

/**
 * The accounts of one home, kept in memory and read again when the file changes. A password that was once found right
 * (or wrong) is recognised by a keyed hash, so that a fleet that reconnects costs one hash per node.
 */
export class Accounts {
  readonly #file: HomeFile<AccountFile>;
  readonly #limits: BrokerLimits;
  readonly #memoryKey = randomBytes(32);
  /** Account -> keyed hash of (record, password) that was found right. */
  readonly #right = new Map<string, string>();
  readonly #wrong = new Set<string>();
  readonly #checking = new Map<string, Promise<Verdict>>();
  readonly #queue: (() => void)[] = [];
  #running = 0;
  readonly #stranger: AccountRecord = {
    salt: randomBytes(16).toString('base64'),
    key: randomBytes(keyBytes).toString('base64'),
    cost: chosenCost,
    role: 'viewer',
  };

  constructor(home: string, limits: BrokerLimits = brokerLimits) {
    this.#file = accountsFile(home);
    this.#file.onChange(() => {
      for (const name of this.#right.keys()) if (this.#accountOf(name) === undefined) this.#right.delete(name);
    });
    this.#limits = limits;
  }

  get path(): string {
    return this.#file.path;
  }

  get size(): number {
    return Object.keys(this.#file.value.accounts).length;
  }

  /** Called after every change that was read, whoever noticed it. */
  onChange(listener: () => void): void {
    this.#file.onChange(listener);
  }

  /** As `HomeFile.refresh`. */
  refresh(): Promise<boolean> {
    return this.#file.refresh();
  }

  /** Changes whenever the account's password or role does; undefined when there is no such account. */
  version(name: string): string | undefined {
    const account = this.#accountOf(name);
    return account === undefined ? undefined : `${account.role} ${account.key}`;
  }

  roleOf(name: string): Role | undefined {
    return this.#accountOf(name)?.role;
  }

  #accountOf(name: string): AccountRecord | undefined {
    const { accounts } = this.#file.value;
    return Object.hasOwn(accounts, name) ? accounts[name] : undefined;
  }

  async verify(name: string, password: string): Promise<Verdict> {
    const known = this.#accountOf(name);
    const account = known ?? this.#stranger;
    const memory = createHmac('sha256', this.#memoryKey)
      .update(`${name}\0${account.salt}\0${account.key}\0`)
      .update(password)
      .digest('base64');
    const right = this.#right.get(name);
    if (known !== undefined && right !== undefined && sameText(right, memory)) return 'right';
    if (this.#wrong.has(memory)) return 'wrong';
    let checking = this.#checking.get(memory);
    if (checking === undefined) {
      checking = this.#check(name, password, account, known !== undefined, memory);
      this.#checking.set(memory, checking);
      checking.finally(() => this.#checking.delete(memory)).catch(() => undefined);
    }
    return checking;
  }

  async #check(
    name: string,
    password: string,
    account: AccountRecord,
    known: boolean,
    memory: string,
  ): Promise<Verdict> {
    if (this.#running >= this.#limits.passwordChecks) {
      if (this.#queue.length >= this.#limits.passwordChecksWaiting) return 'busy';
      await new Promise<void>((go) => this.#queue.push(go));
    } else {
      this.#running += 1;
    }
    try {
      const key = await derive(password, Buffer.from(account.salt, 'base64'), account.cost);
      // An unknown name costs the same work, so that timing does not tell which names exist.
      if (timingSafeEqual(key, Buffer.from(account.key, 'base64')) && known) {
        this.#right.set(name, memory);
        return 'right';
      }
      if (this.#wrong.size >= this.#limits.passwordsRefusedRemembered) this.#wrong.clear();
      this.#wrong.add(memory);
      return 'wrong';
    } finally {
      const next = this.#queue.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}

function sameText(one: string, other: string): boolean {
  const left = Buffer.from(one);
  const right = Buffer.from(other);
  return left.length === right.length && timingSafeEqual(left, right);
}
