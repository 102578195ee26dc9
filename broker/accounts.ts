import { createHmac, randomBytes, scrypt as scryptCallback, timingSafeEqual } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { asMeshError, checkIdentifier, MeshError } from '@foremesh/node-runtime/contract';
import * as z from 'zod';
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
  await withFileLock(accountsPath(home), async (path) => {
    const file = (await readAccounts(path)) ?? { v: 1 as const, accounts: {} };
    const known = Object.hasOwn(file.accounts, name);
    if (!known && Object.keys(file.accounts).length >= brokerLimits.accounts) {
      throw new MeshError('MESH_LIMIT_EXCEEDED', `accounts is ${brokerLimits.accounts}`, { where: path });
    }
    file.accounts[name] = { salt: salt.toString('base64'), key: key.toString('base64'), cost };
    await replaceFile(path, `${JSON.stringify(file, null, 2)}\n`);
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
  readonly #path: string;
  readonly #limits: BrokerLimits;
  readonly #memoryKey = randomBytes(32);
  /** Account -> keyed hash of (record, password) that was found right. */
  readonly #right = new Map<string, string>();
  readonly #wrong = new Set<string>();
  readonly #checking = new Map<string, Promise<Verdict>>();
  readonly #queue: (() => void)[] = [];
  #running = 0;
  #file: AccountFile = { v: 1, accounts: {} };
  #stamp = '';
  readonly #stranger: AccountRecord = {
    salt: randomBytes(16).toString('base64'),
    key: randomBytes(keyBytes).toString('base64'),
    cost: chosenCost,
  };

  constructor(home: string, limits: BrokerLimits = brokerLimits) {
    this.#path = accountsPath(home);
    this.#limits = limits;
  }

  get size(): number {
    return Object.keys(this.#file.accounts).length;
  }

  /**
   * Reads the file if it changed since the last time; returns whether it did. Throws `MESH_CONFIG_INVALID` or
   * `MESH_STORAGE_FAILED` and then keeps what it knew.
   */
  async refresh(): Promise<boolean> {
    const stamp = await fileStamp(this.#path);
    if (stamp === this.#stamp) return false;
    const file = await readAccounts(this.#path);
    this.#file = file ?? { v: 1, accounts: {} };
    this.#stamp = stamp;
    for (const name of this.#right.keys()) if (!Object.hasOwn(this.#file.accounts, name)) this.#right.delete(name);
    return true;
  }

  /** Changes whenever the account's password does; undefined when there is no such account. */
  version(name: string): string | undefined {
    return Object.hasOwn(this.#file.accounts, name) ? this.#file.accounts[name]!.key : undefined;
  }

  async verify(name: string, password: string): Promise<Verdict> {
    const known = Object.hasOwn(this.#file.accounts, name) ? this.#file.accounts[name] : undefined;
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

async function fileStamp(path: string): Promise<string> {
  try {
    const { ino, size, mtimeMs } = await stat(path);
    return `${ino} ${size} ${mtimeMs}`;
  } catch (error) {
    if (isMissing(error)) return 'none';
    throw asMeshError(error, 'MESH_STORAGE_FAILED');
  }
}

async function readAccounts(path: string): Promise<AccountFile | undefined> {
  let text: string;
  try {
    const { size } = await stat(path);
    if (size > brokerLimits.accountsFileBytes) {
      throw new MeshError('MESH_LIMIT_EXCEEDED', `accountsFileBytes is ${brokerLimits.accountsFileBytes}`, {
        where: path,
      });
    }
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw asMeshError(error, 'MESH_STORAGE_FAILED');
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damaged(path, 'it is not JSON', error);
  }
  const parsed = fileSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw damaged(path, `${issue?.path.join('.')}: ${issue?.message}`);
  }
  return parsed.data;
}

function damaged(path: string, what: string, cause?: unknown): MeshError {
  return new MeshError('MESH_CONFIG_INVALID', `the accounts file is damaged: ${what}`, {
    where: path,
    mend: 'restore it, or move it away and make the accounts again',
    ...(cause === undefined ? {} : { cause }),
  });
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

/** Two `foremesh init` at once must not lose an account: the second waits for the first's lock file. */
async function withFileLock(path: string, action: (path: string) => Promise<void>): Promise<void> {
  const lock = `${path}.lock`;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  for (let attempt = 0; ; attempt += 1) {
    try {
      await (await open(lock, 'wx', 0o600)).close();
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw asMeshError(error, 'MESH_STORAGE_FAILED');
      if (attempt === 100) {
        throw new MeshError('MESH_IDENTITY_IN_USE', 'another process is changing the accounts', {
          where: lock,
          mend: `if none is, remove ${lock}`,
        });
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  try {
    await action(path);
  } catch (error) {
    throw asMeshError(error, 'MESH_STORAGE_FAILED');
  } finally {
    await rm(lock, { force: true });
  }
}

async function replaceFile(path: string, text: string): Promise<void> {
  const draft = `${path}.new`;
  const file = await open(draft, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await chmod(draft, 0o600);
  await rename(draft, path);
}
