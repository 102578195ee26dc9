import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Whether a path has what only a pattern has: `*`, `?`, `[...]` or `{a,b}`. */
export function isPattern(path: string): boolean {
  return /[*?]|\[.+\]|\{.*,.*\}/.test(path);
}

/**
 * The files that a pattern names, with slashes, in order of their bytes: `*` and `?` within a name, `**` any folders, `[a-z]`
 * one character, `{a,b}` either. Names that begin with a dot are only found where the pattern has the dot; links to folders are not followed by `**`.
 * What cannot be read throws.
 */
export async function filesOfPattern(pattern: string, directory: string): Promise<string[]> {
  const found = new Set<string>();
  for (const each of alternatives(pattern.replaceAll('\\', '/'))) {
    const isAbsolute = each.startsWith('/');
    await walk(
      isAbsolute ? '/' : '',
      each.split('/').filter((part) => part !== '' && part !== '.'),
      directory,
      found,
    );
  }
  return [...found].sort(byBytes);
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** `a{b,c}d` as `abd` and `acd`; inner braces first. */
function alternatives(pattern: string): string[] {
  const [whole, inner] = /\{([^{}]*,[^{}]*)\}/.exec(pattern) ?? [];
  if (whole === undefined) return [pattern];
  const at = pattern.indexOf(whole);
  const [before, behind] = [pattern.slice(0, at), pattern.slice(at + whole.length)];
  return inner!.split(',').flatMap((each) => alternatives(before + each + behind));
}

async function walk(base: string, parts: readonly string[], directory: string, found: Set<string>): Promise<void> {
  const [part, ...rest] = parts;
  if (part === undefined) return;
  if (!isPattern(part) && rest.length > 0) return walk(`${base}${part}/`, rest, directory, found);
  const entries = await entriesOf(base, directory);
  if (part === '**') {
    if (rest.length === 0) return walk(base, ['**', '*'], directory, found);
    await walk(base, rest, directory, found);
    for (const entry of entries) {
      if (entry.isDirectory() && !entry.name.startsWith('.'))
        await walk(`${base}${entry.name}/`, parts, directory, found);
    }
    return;
  }
  const matches = matcherOf(part);
  for (const entry of entries) {
    if (!matches(entry.name)) continue;
    if (rest.length > 0) {
      if (entry.isDirectory() || entry.isSymbolicLink()) await walk(`${base}${entry.name}/`, rest, directory, found);
    } else if (entry.isFile() || entry.isSymbolicLink()) found.add(base + entry.name);
  }
}

/** Empty where there is no such folder: then the pattern names nothing there. */
async function entriesOf(base: string, directory: string) {
  try {
    return await readdir(base.startsWith('/') ? base : join(directory, base), { withFileTypes: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
}

function matcherOf(part: string): (name: string) => boolean {
  const source = part.replace(/\[!?[^\]]+\]|[*?]|[\\^$.|+(){}[\]]/g, (token) => {
    if (token === '*') return '.*';
    if (token === '?') return '.';
    if (token.length > 2) return token.replace(/^\[!/, '[^').replaceAll('\\', '\\\\');
    return `\\${token}`;
  });
  const expression = new RegExp(`^${source}$`, 'su');
  return (name) => (part.startsWith('.') || !name.startsWith('.')) && expression.test(name);
}
