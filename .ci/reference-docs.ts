// Writes what is in `referenceDocs` from the code: `npm run docs`. A house test compares.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCodes } from '../node-runtime/contract/errors.ts';
import { limits } from '../node-runtime/contract/limits.ts';
import { asyncApiDocument } from './asyncapi.ts';
import { jobFileSchema } from './job-schema.ts';
import { commentsBefore } from './json-schemas.ts';

const root = join(import.meta.dirname, '..');
const note = 'Written by `npm run docs` from the code; change it there.';

export function referenceDocs(): Record<string, string> {
  const json = (value: unknown) => `${JSON.stringify(value, undefined, 1)}\n`;
  return {
    'docs/errors.md': errorsPage(),
    'docs/limits.md': limitsPage(),
    'docs/asyncapi.json': json(asyncApiDocument()),
    'node-runtime/job.schema.json': json(jobFileSchema()),
  };
}

function errorsPage(): string {
  const rows = Object.entries(errorCodes).map(([code, meaning]) => [`\`${code}\``, meaning]);
  return `# Errors

<!-- ${note} -->

Every error has one of these codes. A code never changes its meaning; the message beside it says what was wrong this time,
where, and what would be right.

${table(['code', 'meaning'], rows)}`;
}

function limitsPage(): string {
  const comments = commentsBefore(join(root, 'node-runtime/contract/limits.ts'), /^\s*(\w+):/);
  const rows = Object.entries(limits).map(([name, value]) => [
    `\`${name}\``,
    readable(name, value),
    comments[name] ?? inWords(name),
  ]);
  return `# Limits

<!-- ${note} -->

Nothing in a mesh grows without bound. What passes a limit is refused with \`MESH_LIMIT_EXCEEDED\`, the name of the limit, its
value, and what was found.

${table(['limit', 'value', 'meaning'], rows)}`;
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]): string => `| ${cells.join(' | ')} |`;
  return `${[line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')}\n`;
}

const kibi = 1024;
const sizes = [
  { unit: 'GiB', size: kibi ** 3 },
  { unit: 'MiB', size: kibi ** 2 },
  { unit: 'KiB', size: kibi },
];
const durations = [
  { unit: 'd', size: 24 * 3_600_000 },
  { unit: 'h', size: 3_600_000 },
  { unit: 'min', size: 60_000 },
  { unit: 's', size: 1_000 },
];

function readable(name: string, value: number): string {
  const unitOf = (units: typeof sizes, small: string): string => {
    const fit = units.find(({ size }) => value >= size && value % size === 0);
    return fit === undefined ? `${grouped(value)} ${small}` : `${grouped(value / fit.size)} ${fit.unit}`;
  };
  if (name.includes('Bytes')) return unitOf(sizes, 'bytes');
  if (/Ms(Default|Most|Least)?$/.test(name)) return unitOf(durations, 'ms');
  return grouped(value);
}

function grouped(value: number): string {
  return value.toLocaleString('en-US');
}

/** `tasksPerStage` -> "Tasks per stage." */
function inWords(name: string): string {
  const words = name
    .replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
    .replaceAll(/\b(cpu|ms)\b/g, (word) => {
      return word === 'cpu' ? 'CPU' : 'time';
    });
  return `${words.slice(0, 1).toUpperCase()}${words.slice(1)}.`;
}

/** The comment right above each limit. */
if (process.argv[1] === import.meta.filename) {
  for (const [path, text] of Object.entries(referenceDocs())) writeFileSync(join(root, path), text);
}
