import { randomBytes, scrypt as scryptCallback } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { checkIdentifier, isIdentifier, limits, MeshError } from '@foremesh/node-runtime/contract';
import * as z from 'zod';
import { type Role, roles } from './access.ts';
import { HomeFile } from './home-file.ts';
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

export function accountsFile(home: string): HomeFile<AccountFile> {
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
  const file = accountsFile(home);
  await file.change(({ accounts }) => {
    const known = Object.hasOwn(accounts, name) ? accounts[name] : undefined;
    if (known === undefined && Object.keys(accounts).length >= brokerLimits.accounts) {
      throw new MeshError('MESH_LIMIT_EXCEEDED', `accounts is ${brokerLimits.accounts}`, { where: file.path });
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
  const file = accountsFile(home);
  await file.refresh();
  return Object.entries(file.value.accounts).map(([name, { role }]) => ({ name, role }));
}

/** Throws `MESH_CONFIG_INVALID` when there is no such account, or nobody would be left who may do everything. */
export async function removeAccount(home: string, name: string): Promise<void> {
  const file = accountsFile(home);
  await file.change(({ accounts }) => {
    if (!Object.hasOwn(accounts, name)) throw unknownAccount(name, file.path);
    const { role } = accounts[name]!;
    delete accounts[name];
    if (role !== 'owner' || Object.values(accounts).some((each) => each.role === 'owner')) return;
    throw new MeshError('MESH_CONFIG_INVALID', `"${name}" is the only owner: without it nobody could run the mesh`, {
      where: file.path,
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

export function derive(password: string, salt: Buffer, cost: number): Promise<Buffer> {
  return scrypt(password, salt, keyBytes, { N: cost, r: 8, p: 1 });
}
