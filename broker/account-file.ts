import { randomBytes, scrypt as scryptCallback } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { asMeshError, checkIdentifier, isIdentifier, limits, MeshError } from '@foremesh/node-runtime/contract';
import * as z from 'zod';
import { type Role, roles } from './access.ts';
import { brokerLimits } from './limits.ts';

const scrypt: (
  password: string,
  salt: Buffer,
  bytes: number,
  options: { N: number; r: number; p: number },
) => Promise<Buffer> = promisify(scryptCallback);

/** A password that a person chose is worth guessing: about 50 ms and 16 MiB each. */
export const chosenCost = 16_384;
/** One that we drew has 192 bits: no cost would help a guesser, and a fleet that reconnects pays little. */
const drawnCost = 1_024;
export const keyBytes = 32;

const record = z.strictObject({
  salt: z.base64(),
  key: z.base64(),
  /** scrypt's N; r is 8 and p is 1. */
  cost: z.number().int().min(drawnCost).max(1_048_576),
  /** What the account may do; that of the founder, and of accounts that are older than roles, is `owner`. */
  role: z.enum(roles).default('owner'),
});
const name = z.string().refine(isIdentifier, { error: 'is no identifier' });
const fileSchema = z.strictObject({ v: z.literal(1), accounts: z.record(name, record) });
export type AccountRecord = z.infer<typeof record>;
export type AccountFile = z.infer<typeof fileSchema>;

export function accountsPath(home: string): string {
  return join(home, 'accounts.json');
}

/**
 * Makes an account, or gives an existing one a new password. Without `password` one is drawn; it is returned here and
 * never again. Without `role` an existing account keeps its own, and a new one is an owner. Throws `MESH_TOPIC_INVALID` for
 * a name that is no identifier, `MESH_CONFIG_INVALID` for one that could be taken for another's, for a password that is too
 * short or long or a damaged file, `MESH_STORAGE_FAILED`.
 */
export async function createAccount(
  home: string,
  name: string,
  password?: string,
  role?: Role,
): Promise<{ name: string; password: string }> {
  checkName(name);
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
  await changeAccounts(home, (accounts, path) => {
    const known = Object.hasOwn(accounts, name) ? accounts[name] : undefined;
    if (known === undefined && Object.keys(accounts).length >= brokerLimits.accounts) {
      throw new MeshError('MESH_LIMIT_EXCEEDED', `accounts is ${brokerLimits.accounts}`, { where: path });
    }
    accounts[name] = {
      salt: salt.toString('base64'),
      key: key.toString('base64'),
      cost,
      role: role ?? known?.role ?? 'owner',
    };
  });
  return { name, password: secret };
}

/** What the file says now. Throws `MESH_CONFIG_INVALID` when it is damaged, `MESH_STORAGE_FAILED`. */
export async function listAccounts(home: string): Promise<{ name: string; role: Role }[]> {
  const file = await readAccounts(accountsPath(home));
  return Object.entries(file?.accounts ?? {}).map(([name, { role }]) => ({ name, role }));
}

/** Throws `MESH_CONFIG_INVALID` when there is no such account, or nobody would be left who may do everything. */
export async function removeAccount(home: string, name: string): Promise<void> {
  await changeAccounts(home, (accounts, path) => {
    if (!Object.hasOwn(accounts, name)) throw unknownAccount(name, path);
    const { role } = accounts[name]!;
    delete accounts[name];
    if (role !== 'owner' || Object.values(accounts).some((each) => each.role === 'owner')) return;
    throw new MeshError('MESH_CONFIG_INVALID', `"${name}" is the only owner: without it nobody could run the mesh`, {
      where: path,
      mend: 'make another owner first: `foremesh accounts add NAME --role owner`',
    });
  });
}

export function unknownAccount(name: string, path: string): MeshError {
  return new MeshError('MESH_CONFIG_INVALID', `there is no account "${name}"`, {
    where: path,
    mend: '`foremesh accounts list` shows them',
  });
}

/** What an account asks of blob holders is asked under its name, `--` and something: that must not be another's. */
function checkName(name: string): void {
  checkIdentifier(name, 'account');
  if (name.length <= limits.accountCharacters && !name.includes('--') && !name.endsWith('-')) return;
  throw new MeshError('MESH_CONFIG_INVALID', `"${name}" cannot be the name of an account`, {
    mend: `at most ${limits.accountCharacters} characters, no -- in it and no - at its end`,
  });
}

async function changeAccounts(
  home: string,
  change: (accounts: AccountFile['accounts'], path: string) => void,
): Promise<void> {
  await withFileLock(accountsPath(home), async (path) => {
    const file = (await readAccounts(path)) ?? { v: 1 as const, accounts: {} };
    change(file.accounts, path);
    await replaceFile(path, `${JSON.stringify(file, null, 2)}\n`);
  });
}

export function derive(password: string, salt: Buffer, cost: number): Promise<Buffer> {
  return scrypt(password, salt, keyBytes, { N: cost, r: 8, p: 1 });
}

export async function fileStamp(path: string): Promise<string> {
  try {
    const { ino, size, mtimeMs } = await stat(path);
    return `${ino} ${size} ${mtimeMs}`;
  } catch (error) {
    if (isMissing(error)) return 'none';
    throw asMeshError(error, 'MESH_STORAGE_FAILED');
  }
}

export async function readAccounts(path: string): Promise<AccountFile | undefined> {
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

export async function replaceFile(path: string, text: string): Promise<void> {
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
