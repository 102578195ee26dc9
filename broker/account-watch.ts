import { type FSWatcher, watch } from 'node:fs';
import { basename } from 'node:path';
import { accountsPath } from './account-file.ts';
import type { Accounts } from './accounts.ts';
import type { BrokerLimits } from './limits.ts';
import type { Incidents } from './log.ts';

/**
 * Reads the accounts again as soon as their file changes. Where the system does not tell (a network drive, no watches left)
 * the change is found within `accountsCheckMs`. Returns what ends it.
 */
export function watchAccounts(
  home: string,
  accounts: Accounts,
  limits: BrokerLimits,
  incidents: Incidents,
): () => void {
  const check = () => {
    accounts.refresh().catch((error: unknown) => reportUnreadable(error, incidents));
  };
  const untold = (error: unknown) => incidents.log.warn({ error: String(error) }, 'the accounts file is not watched');
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(home, (_event, name) => {
      if (name === basename(accountsPath(home))) check();
    }).on('error', untold);
  } catch (error) {
    untold(error);
  }
  const timer = setInterval(check, limits.accountsCheckMs);
  timer.unref();
  return () => {
    watcher?.close();
    clearInterval(timer);
  };
}

export function reportUnreadable(error: unknown, incidents: Incidents): void {
  const message = 'the accounts file cannot be read; the old one holds';
  incidents.report('accountsFile', { error: String(error) }, message, 'error');
}
