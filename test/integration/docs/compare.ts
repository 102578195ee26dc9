import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';

/** Figures that differ from run to run: only that they are there, and are figures, is compared. */
const volatileNumbers = /(Ms|PerSecond|Share|cores|memoryBytes|MemoryBytes|AvailableBytes|seq|revision|js|wasm)$/;
const volatileTexts = new Set(['bootId', 'release', 'arch', 'model', 'cpu', 'system', 'platform']);

/**
 * Compares what a document shows with what a command printed. "..." stands for any text, alone on a line for any number of
 * lines; durations and runs of spaces count as equal.
 */
export function matchesText(shown: string, found: string): boolean {
  const pattern = normal(shown)
    .split('\n')
    .map((line) => (line === '...' ? '(?:.*\n)*?' : `${line.split('...').map(escapeForRegExp).join('.*?')}\n`))
    .join('');
  return new RegExp(`^${pattern}$`).test(`${normal(found)}\n`);
}

function normal(text: string): string {
  return text
    .trimEnd()
    .replace(/\b\d[\d.,]* (ms|s|min|h)( \d+ (s|min))?(?!\w)/g, 'SOME TIME')
    .replace(/ +/g, ' ')
    .replace(/ $/gm, '');
}

function escapeForRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

/** Fails unless the JSON that a document shows is what was found, but for volatile figures and "...". */
export function assertJson(shown: string, found: string): void {
  const wanted = valuesOf(shown);
  const values = valuesOf(found);
  assert.deepEqual(
    values.map((value, index) => withWanted(value, wanted[index], '')),
    wanted,
  );
}

/** One document, or one per line. */
function valuesOf(text: string): unknown[] {
  try {
    return [JSON.parse(text)];
  } catch {
    return text
      .trim()
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => JSON.parse(line) as unknown);
  }
}

/** `found`, with the parts of `wanted` where a difference does not matter. */
function withWanted(found: unknown, wanted: unknown, key: string): unknown {
  if (wanted === '...') return wanted;
  if (typeof found === 'number' && typeof wanted === 'number') return volatileNumbers.test(key) ? wanted : found;
  if (typeof found === 'string' && typeof wanted === 'string') {
    return volatileTexts.has(key) || matchesText(wanted, found) ? wanted : found;
  }
  if (Array.isArray(found) && Array.isArray(wanted)) {
    return found.map((each, index) => withWanted(each, wanted[index], key));
  }
  if (!isObject(found) || !isObject(wanted)) return found;
  // Which node took how many tasks is chance; all of them together is not.
  if (key === 'tasksByNode' && isDeepStrictEqual(sumOf(found), sumOf(wanted))) return wanted;
  return Object.fromEntries(
    Object.entries(found).map(([name, value]) => [name, withWanted(value, wanted[name], name)]),
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function sumOf(counts: Record<string, unknown>): number {
  return Object.values(counts).reduce<number>((sum, count) => sum + Number(count), 0);
}
