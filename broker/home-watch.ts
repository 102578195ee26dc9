import { type FSWatcher, watch } from 'node:fs';
import { basename } from 'node:path';
import type { BrokerLimits } from './limits.ts';
import type { Incidents } from './log.ts';

/** A file of the home that says who may come in. */
export interface WatchedFile {
  readonly path: string;
  refresh(): Promise<boolean>;
}

/**
 * Reads files of the home again as soon as they change. Where the system does not tell (a network drive, no watches left)
 * a change is found within `accountsCheckMs`. Returns what ends it.
 */
export function watchHome(
  home: string,
  files: readonly WatchedFile[],
  limits: BrokerLimits,
  incidents: Incidents,
): () => void {
  const untold = (error: unknown) => incidents.log.warn({ error: String(error) }, 'the home is not watched');
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(home, (_event, name) => {
      for (const file of files) if (name === basename(file.path)) void refreshed(file, incidents);
    }).on('error', untold);
  } catch (error) {
    untold(error);
  }
  const timer = setInterval(() => {
    for (const file of files) void refreshed(file, incidents);
  }, limits.accountsCheckMs);
  timer.unref();
  return () => {
    watcher?.close();
    clearInterval(timer);
  };
}

/** Reads the file again if it has changed; what cannot be read leaves the old in force, and is told. */
export async function refreshed(file: WatchedFile, incidents: Incidents): Promise<void> {
  await file.refresh().catch((error: unknown) => {
    const message = 'a file of who may come in cannot be read; what it said before holds';
    incidents.report('homeFile', { file: file.path, error: String(error) }, message, 'error');
  });
}
