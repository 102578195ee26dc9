import { type AccountQuota, limits } from '../contract/index.ts';
import type { Ledger } from './ledger.ts';
import type { LedgerEvent, MeshCommand } from './ledger-commands.ts';

/** An owner says what an account may have: see `QuotaChange`. */
export function setQuota(ledger: Ledger, command: MeshCommand & { type: 'set-quota' }): LedgerEvent[] {
  const { account, change } = command;
  const { quotas } = ledger;
  const reason = quotaFault(ledger, account);
  if (reason !== undefined) return [{ type: 'dropped', command, reason }];
  const own: AccountQuota = { ...quotas.get(account) };
  for (const name of ['jobs', 'storedBytes', 'tasksAtOnce'] as const) {
    const most = change[name];
    if (most === null) delete own[name];
    else if (most !== undefined) own[name] = most;
  }
  if (Object.keys(own).length === 0) quotas.delete(account);
  else quotas.set(account, own);
  return [{ type: 'quota-set', account }];
}

/** Why nothing can be said for an account, if anything is in the way. */
export function quotaFault({ quotas }: Ledger, account: string): string | undefined {
  if (quotas.has(account) || quotas.size < limits.accountsWithQuota) return undefined;
  return `accountsWithQuota is ${limits.accountsWithQuota}, and so many accounts have quotas of their own`;
}
