import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const endings: (() => unknown)[] = [];

/** Undone in reverse order by `endAll`, which every suite calls after each test. */
export function later(ending: () => unknown): void {
  endings.push(ending);
}

export async function endAll(): Promise<void> {
  for (const ending of endings.splice(0).reverse()) await ending();
}

export async function scratch(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'foremesh-shell-'));
  later(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** For `assert.rejects` and `assert.throws`: this code, and this text somewhere in the line for people. */
export function meshError(code: string, text = ''): (error: { code?: string; toLine?: () => string }) => boolean {
  return (error) => {
    if (error.code !== code) throw new Error(`expected ${code}, found ${error.code}`, { cause: error });
    if (!error.toLine!().includes(text)) throw new Error(`"${text}" is not in "${error.toLine!()}"`);
    return true;
  };
}
