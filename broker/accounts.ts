import { createHmac, randomBytes, scrypt as scryptCallback, timingSafeEqual } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { checkIdentifier, MeshError } from '@foremesh/node-runtime/contract';
import * as z from 'zod';
import { HomeFile } from './home-file.ts';
import { type BrokerLimits, brokerLimits } from './limits.ts';

const scrypt: (
  password: string,
  salt: Buffer,
  bytes: number,
  options: { N: number; r: number; p: number },
) => Promise<Buffer> = promisify(scryptCallback);

/** A password that a person chose is worth guessing: about 50 ms and 16 MiB each. */
const chosenCost = 16_384;
/** One that we drew has 192 bits: no cost would help a guesser, and a fleet that reconnects pays little. */
const drawnCost = 1_024;
const keyBytes = 32;

const record = z.strictObject({
  salt: z.base64(),
  key: z.base64(),
  /** scrypt's N; r is 8 and p is 1. */
  cost: z.number().int().min(drawnCost).max(1_048_576),
});
const fileSchema = z.strictObject({ v: z.literal(1), accounts: z.record(z.string(), record) });
type AccountRecord = z.infer<typeof record>;
type AccountFile = z.infer<typeof fileSchema>;

export function accountsPath(home: string): string {
  return join(home, 'accounts.json');
}

function accountsFile(home: string): HomeFile<AccountFile> {
  return new HomeFile({
    path: accountsPath(home),
    what: 'accounts',
    schema: fileSchema,
    empty: () => ({ v: 1, accounts: {} }),
    mostBytes: brokerLimits.accountsFileBytes,
    mend: 'restore it, or move it away and make the accounts again',
  });
}

/**
 * Makes an account, or gives an existing one a new password. Without `password` one is drawn; it is returned here and
 * never again. Throws `MESH_TOPIC_INVALID` for a name that is no identifier, `MESH_CONFIG_INVALID` for a password that is
 * too short or long or a damaged file, `MESH_STORAGE_FAILED`.
 */
export async function createAccount(
  home: string,
  name: string,
  password?: string,
): Promise<{ name: string; password: string }> {
  checkIdentifier(name, 'account');
  const secret = password ?? randomBytes(24).toString('base64url');
  const bytes = Buffer.byteLength(secret);
  if (bytes < 8 || bytes > brokerLimits.passwordBytes) {
    throw new MeshError('MESH_CONFIG_INVALID', `a password has 8 to ${brokerLimits.passwordBytes} bytes`, {
      mend: 'leave it out and a strong one is made',
    });
  }
  const salt = randomBytes(16);
  const cost = password === undefined ? drawnCost : chosenCost;
  const key = await derive(secret, salt, cost);
  await accountsFile(home).change(({ accounts }) => {
    if (!Object.hasOwn(accounts, name) && Object.keys(accounts).length >= brokerLimits.accounts) {
      throw new MeshError('MESH_LIMIT_EXCEEDED', `accounts is ${brokerLimits.accounts}`, { where: accountsPath(home) });
    }
    accounts[name] = { salt: salt.toString('base64'), key: key.toString('base64'), cost };
  });
  return { name, password: secret };
}

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
  };

  constructor(home: string, limits: BrokerLimits = brokerLimits) {
    this.#file = accountsFile(home);
    this.#limits = limits;
  }

  get size(): number {
    return Object.keys(this.#records).length;
  }
  get #records(): AccountFile['accounts'] {
    return this.#file.value.accounts;
  }

  /** As `HomeFile.refresh`. */
  async refresh(): Promise<boolean> {
    if (!(await this.#file.refresh())) return false;
    for (const name of this.#right.keys()) if (!Object.hasOwn(this.#records, name)) this.#right.delete(name);
    return true;
  }

  /** Changes whenever the account's password does; undefined when there is no such account. */
  version(name: string): string | undefined {
    return Object.hasOwn(this.#records, name) ? this.#records[name]!.key : undefined;
  }

  async verify(name: string, password: string): Promise<Verdict> {
    const known = Object.hasOwn(this.#records, name) ? this.#records[name] : undefined;
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

function derive(password: string, salt: Buffer, cost: number): Promise<Buffer> {
  return scrypt(password, salt, keyBytes, { N: cost, r: 8, p: 1 });
}

function sameText(one: string, other: string): boolean {
  const left = Buffer.from(one);
  const right = Buffer.from(other);
  return left.length === right.length && timingSafeEqual(left, right);
}
