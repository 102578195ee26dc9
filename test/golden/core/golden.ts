import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/**
 * Golden text in the manner of etcd-raft's datadriven tests. A file is a list of steps with an empty line between them:
 * lines of comment (`#`), one command, `----`, and what the command printed. A test runs the commands in order on one
 * machine and compares.
 *
 * `UPDATE_GOLDEN=1 npx mocha 'test/golden/core/*.test.ts'` writes what is printed now into the files: read the diff
 * before you commit it. A new step needs only its command; the rest is written.
 */
export function goldenFiles(prefix: string): string[] {
  return readdirSync(import.meta.dirname).filter((file) => file.startsWith(`${prefix}-`) && file.endsWith('.txt'));
}

export function runGolden(
  file: string,
  execute: (command: string, words: string[], options: Options) => string[],
): void {
  const path = `${import.meta.dirname}/${file}`;
  const before = readFileSync(path, 'utf8');
  const steps = before
    .split(/\n\n+/)
    .map((step) => step.trim())
    .filter((step) => step !== '');
  const after = steps.map((step) => {
    const head = step.split('\n----')[0]!.trimEnd();
    const line = head.split('\n').find((each) => !each.startsWith('#'));
    if (line === undefined) return head; // nothing but comment
    const [command, ...words] = line.split(/\s+/) as [string, ...string[]];
    let printed: string[];
    try {
      printed = execute(
        command,
        words.filter((word) => !word.includes('=')),
        new Options(words.filter((word) => word.includes('='))),
      );
    } catch (error) {
      printed = [`throws: ${(error as Error).message}`];
    }
    return [head, '----', ...(printed.length === 0 ? ['ok'] : printed)].join('\n');
  });
  const text = `${after.join('\n\n')}\n`;
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(path, text);
  else assert.equal(text, before, `${file} prints something else now; UPDATE_GOLDEN=1 rewrites it`);
}

/** The `key=value` words of a command. */
export class Options {
  private readonly values: Map<string, string>;

  constructor(words: readonly string[]) {
    this.values = new Map(words.map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]));
  }

  text(key: string, otherwise = ''): string {
    return this.values.get(key) ?? otherwise;
  }

  number(key: string, otherwise = 0): number {
    const value = this.values.get(key);
    return value === undefined ? otherwise : Number(value);
  }

  list(key: string): string[] {
    return this.text(key)
      .split(',')
      .filter((each) => each !== '');
  }
}
