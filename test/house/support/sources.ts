import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseSync, visitorKeys } from 'oxc-parser';

export const root = join(import.meta.dirname, '../../..');

const leftOut = new Set(['node_modules', 'dist', 'bundle', 'coverage', '.git']);

/** Paths below the root, with forward slashes; what is built or installed is left out. */
export function listFiles(folder = '.'): string[] {
  const found: string[] = [];
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = join(folder, entry.name).replaceAll('\\', '/');
    if (leftOut.has(entry.name)) continue;
    if (entry.isDirectory()) found.push(...listFiles(path));
    else if (entry.isFile()) found.push(path);
  }
  return found;
}

export function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

export interface Node {
  readonly type: string;
  readonly start: number;
  readonly [key: string]: unknown;
}

export interface Import {
  /** `undefined` when it is computed. */
  readonly specifier: string | undefined;
  readonly typeOnly: boolean;
  /** file:line, for messages. */
  readonly where: string;
}

export interface Source {
  readonly path: string;
  readonly text: string;
  readonly program: Node;
}

const parsed = new Map<string, Source>();

/** The syntax tree of a TypeScript or JavaScript file. */
export function parse(path: string): Source {
  let source = parsed.get(path);
  if (source === undefined) {
    source = parseText(path, read(path));
    parsed.set(path, source);
  }
  return source;
}

export function parseText(path: string, text: string): Source {
  const { program, errors } = parseSync(path, text);
  if (errors.length > 0) throw new SyntaxError(`${path}: ${errors[0]?.message}`);
  return { path, text, program: program as unknown as Node };
}

export function where({ path, text }: Source, node: Node): string {
  return `${path}:${text.slice(0, node.start).split('\n').length}`;
}

/** Every node, parents first. */
export function walk(node: Node, visit: (node: Node, parent: Node | undefined, key: string) => void): void {
  const step = (at: Node, parent: Node | undefined, key: string): void => {
    visit(at, parent, key);
    for (const name of visitorKeys[at.type] ?? []) {
      const child = at[name];
      for (const item of Array.isArray(child) ? child : [child]) {
        if (isNode(item)) step(item, at, name);
      }
    }
  };
  step(node, undefined, '');
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as Node).type === 'string';
}

/** What a file imports in any way: `import`, `export ... from`, `import()`, `import('...')` as a type, `require`. */
export function importsOf(path: string): Import[] {
  const source = parse(path);
  const found: Import[] = [];
  walk(source.program, (node) => {
    const request = requestOf(node);
    if (request === undefined) return;
    const { specifier, typeOnly } = request;
    found.push({ specifier, typeOnly, where: where(source, node) });
  });
  return found;
}

function requestOf(node: Node): Omit<Import, 'where'> | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
      return { specifier: literal(node.source), typeOnly: node.importKind === 'type' || onlyTypes(node.specifiers) };
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration':
      if (node.source === null || node.source === undefined) return undefined;
      return { specifier: literal(node.source), typeOnly: node.exportKind === 'type' };
    case 'ImportExpression':
      return { specifier: literal(node.source), typeOnly: false };
    case 'TSImportType':
      return { specifier: literal(node.source), typeOnly: true };
    case 'TSExternalModuleReference':
      return { specifier: literal(node.expression), typeOnly: false };
    case 'CallExpression': {
      const [first] = node.arguments as Node[];
      const isRequire = isNamed(node.callee, 'require') && first !== undefined;
      return isRequire ? { specifier: literal(first), typeOnly: false } : undefined;
    }
    default:
      return undefined;
  }
}

/** `import { type A, type B }`: every name on its own is a type. */
function onlyTypes(specifiers: unknown): boolean {
  const list = specifiers as Node[];
  return list.length > 0 && list.every(({ importKind }) => importKind === 'type');
}

export function isNamed(node: unknown, ...names: string[]): boolean {
  return isNode(node) && node.type === 'Identifier' && names.includes(node.name as string);
}

function literal(node: unknown): string | undefined {
  if (!isNode(node)) return undefined;
  if (node.type === 'Literal' && typeof node.value === 'string') return node.value;
  return undefined;
}

export function relativeToRoot(path: string): string {
  return relative(root, path).replaceAll('\\', '/');
}
