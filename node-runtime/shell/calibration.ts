import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { calibrateJs } from '../engines/index.ts';
import { writeDurably } from './durable-file.ts';
import type { Home } from './home.ts';

/** Speed of engine `js` relative to a core of a Raspberry Pi 4; measured once per machine and release, then read back. */
export async function calibratedSpeed(home: Home, machine: string): Promise<number> {
  const file = join(home.directory, 'node', 'calibration.json');
  const known = await readFile(file, 'utf8').catch(() => '{}'); // not measured yet
  try {
    const { machine: measuredOn, js } = JSON.parse(known) as { machine?: unknown; js?: unknown };
    if (measuredOn === machine && typeof js === 'number' && js > 0) return js;
  } catch {
    // Unreadable is the same as absent: it is measured anew.
  }
  const js = await calibrateJs();
  await writeDurably(file, `${JSON.stringify({ machine, js })}\n`);
  return js;
}
