import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** What an SD card takes for an fsync, about. */
export const slowDiskMs = 20;

/**
 * The environment in which every wait for the disk of a process takes `slowDiskMs` longer; undefined where there is no C
 * compiler to make it.
 */
export function slowDisk(directory: string): Readonly<Record<string, string>> | undefined {
  const library = join(directory, 'slow-disk.so');
  const source = join(import.meta.dirname, 'slow-disk.c');
  const { status } = spawnSync('cc', ['-O2', '-shared', '-fPIC', '-o', library, source, '-ldl'], { stdio: 'ignore' });
  return status === 0 ? { LD_PRELOAD: library, SLOW_DISK_MS: String(slowDiskMs) } : undefined;
}
