import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { importsOf, isNamed, listFiles, type Node, parse, parseText, root, walk, where } from './support/sources.ts';

const pureFolders = ['models', 'partitioner', 'node-runtime/contract', 'node-runtime/core', 'node-runtime/wire'];

/** Clocks, chance, the environment, input and output, and the ways around this list. */
const impure = [
  ...['Date', 'performance', 'Temporal'],
  ...['crypto', 'WeakRef', 'FinalizationRegistry', 'SharedArrayBuffer', 'Atomics', 'Intl'],
  ...['process', 'global', 'globalThis', 'window', 'self', 'navigator', 'Buffer', 'require', 'module'],
  ...['console', 'fetch', 'XMLHttpRequest', 'WebSocket', 'Worker', 'localStorage'],
  ...['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate', 'queueMicrotask'],
  ...['eval', 'Function'],
];

/** Each line uses something that only a host has: the compiler of a pure folder must know none of it. */
const probe = [
  "import 'node:fs';",
  'process.exit();',
  "console.log('');",
  'setTimeout(() => undefined, 1);',
  'setInterval(() => undefined, 1);',
  'setImmediate(() => undefined);',
  'performance.now();',
  "fetch('');",
  "Buffer.from('');",
  'document.title;',
  'window.name;',
  "require('fs');",
  'crypto.randomUUID();',
];

describe('house: the pure folders', () => {
  const files = pureFolders.flatMap((folder) => listFiles(folder).filter((path) => /\.tsx?$/.test(path)));

  it('use no clock, no chance, no environment, no input and output', () => {
    const found = files.flatMap(impureUses);
    assert.deepEqual(found, []);
  });

  it('import nothing of Node, and no module whose name is computed', () => {
    const wrong = files.flatMap((file) => {
      const bad = importsOf(file).filter(({ specifier }) => specifier === undefined || specifier.startsWith('node:'));
      return bad.map((one) => `${one.where} imports ${one.specifier ?? 'a computed name'}`);
    });
    assert.deepEqual(wrong, []);
  });

  it('would be caught: the search sees what it should see', () => {
    const samples = [
      'Date.now()',
      'new Date()',
      'new Date(...none)',
      'Date(1)',
      'f(new (Date))',
      "new Intl.DateTimeFormat('en-US')",
      'new Intl.DateTimeFormat(undefined, { timeZone })',
      "new Intl.DateTimeFormat('en-US', { year })",
      'Math.random()',
      'const { random } = Math',
      "Math['random']()",
    ];
    const more = [
      '(globalThis as any).x',
      'import.meta.url',
      'f(process)',
      '({ setTimeout })',
      "await import('node:fs')",
    ];
    const innocent = [
      'x.process()',
      '({ console: 1 })',
      'Math.max(1, 2)',
      'type A = { Date: 1 }',
      'class B { fetch() {} }',
      'new Date(atMs)',
      "new Intl.DateTimeFormat('en-US', { timeZone })",
      'Date.UTC(2026, 1)',
    ];
    for (const sample of [...samples, ...more]) assert.notDeepEqual(usesIn(sample), [], sample);
    for (const sample of innocent) assert.deepEqual(usesIn(sample), [], sample);
  });

  for (const folder of pureFolders) {
    it(`are compiled without types of a host: ${folder}`, () => {
      const errors = compileProbe(folder);
      const silent = probe.filter((_, index) => !errors.includes(index + 1));
      assert.deepEqual(silent, []);
    });
  }
});

function impureUses(path: string): string[] {
  const source = parse(path);
  return impureNodes(source.program).map(
    (node) => `${where(source, node)} ${source.text.slice(node.start, node.end as number)}`,
  );
}

function usesIn(text: string): Node[] {
  return impureNodes(parseText('sample.ts', text).program);
}

function impureNodes(program: Node): Node[] {
  const found: Node[] = [];
  const innocent = new Set<unknown>();
  walk(program, (node, parent, key) => {
    if (isClockOfGivenZone(node)) innocent.add((node.callee as Node).object);
    if (isTimeOfGivenDate(node)) innocent.add(node.object);
    if (node.type === 'MetaProperty' || node.type === 'ImportExpression') found.push(node);
    if (!isReference(node, parent, key)) return;
    if (isNamed(node, ...impure) && !isDateOfGivenTime(node, parent) && !innocent.has(node)) found.push(node);
    else if (isNamed(node, 'Math') && !isInnocentMath(parent, key)) found.push(node);
  });
  return found;
}

/** `new Date(atMs)` reads no clock. */
function isDateOfGivenTime(node: Node, parent: Node | undefined): boolean {
  const [time] = (parent?.arguments ?? []) as Node[];
  if (parent?.type !== 'NewExpression' || parent.callee !== node) return false;
  return isNamed(node, 'Date') && time !== undefined && time.type !== 'SpreadElement';
}

/** `Date.UTC` counts, and reads no clock. */
function isTimeOfGivenDate(node: Node): boolean {
  return isNamed(node.object, 'Date') && node.computed === false && isNamed(node.property, 'UTC');
}

/** `new Intl.DateTimeFormat` of a language and a time zone that are given: it asks the machine for neither. */
function isClockOfGivenZone(node: Node): boolean {
  if (node.type !== 'NewExpression' || (node.callee as Node).type !== 'MemberExpression') return false;
  const { object, property, computed } = node.callee as Node;
  const [language, options] = node.arguments as Node[];
  if (computed === true || !isNamed(object, 'Intl') || !isNamed(property, 'DateTimeFormat')) return false;
  if (typeof language?.value !== 'string' || options?.type !== 'ObjectExpression') return false;
  const [first] = options.properties as Node[];
  return first !== undefined && isNamed(first.key, 'timeZone');
}

/** `Math.max`, but neither `Math.random` nor Math as a value that may be asked for anything. */
function isInnocentMath(parent: Node | undefined, key: string): boolean {
  const isObject = parent?.type === 'MemberExpression' && key === 'object' && parent.computed === false;
  return isObject && !isNamed(parent?.property, 'random');
}

/** Whether an identifier stands for a variable or a type, not for the name of a property. */
function isReference(node: Node, parent: Node | undefined, key: string): boolean {
  if (node.type !== 'Identifier' || parent === undefined) return false;
  if (key === 'property') return parent.computed === true;
  if (key === 'key') return parent.computed === true || parent.shorthand === true;
  return key !== 'label' && parent.type !== 'ImportSpecifier' && parent.type !== 'ExportSpecifier';
}

/** The lines of the probe at which the compiler complains, with the options of that folder. */
function compileProbe(folder: string): number[] {
  const scratch = mkdtempSync(join(tmpdir(), 'foremesh-probe-'));
  try {
    writeFileSync(join(scratch, 'probe.ts'), `${probe.join('\n')}\n`);
    const options = { rootDir: '.', outDir: 'out', tsBuildInfoFile: 'out/info', composite: false, noEmit: true };
    const config = { extends: join(root, folder, 'tsconfig.json'), compilerOptions: options, files: ['probe.ts'] };
    writeFileSync(join(scratch, 'tsconfig.json'), JSON.stringify({ ...config, include: [], references: [] }));
    const compiler = join(root, 'node_modules/typescript/bin/tsc');
    const args = [compiler, '-p', scratch, '--pretty', 'false'];
    const { stdout } = spawnSync(process.execPath, args, { cwd: scratch, encoding: 'utf8' });
    return [...stdout.matchAll(/^probe\.ts\((\d+),/gm)].map(([, line]) => Number(line));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
