// JSON Schemas of all that the contract exports, made from its zod schemas. AsyncAPI and editors understand draft 7.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSync } from 'oxc-parser';
import * as z from 'zod';
import * as contract from '../node-runtime/contract/index.ts';

export type JsonSchema = { [key: string]: unknown };

const root = join(import.meta.dirname, '..');

/** By the names that the contract exports; `refTo` says where one schema finds another. */
export function contractSchemas(refTo: (name: string) => string): Record<string, JsonSchema> {
  const registry = z.registry<{ id: string }>();
  const comments = exportComments();
  // In the order of their names, whatever loads the module: the same code gives the same text.
  for (const [name, value] of Object.entries(contract).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (value instanceof z.ZodType) registry.add(value, { id: name });
  }
  const { schemas } = z.toJSONSchema(registry, {
    target: 'draft-07',
    io: 'input',
    // Only byte strings: JSON has none.
    unrepresentable: ({ zodSchema }) => (zodSchema._zod.def.type === 'custom' ? 'any' : 'throw'),
    uri: refTo,
  });
  const anyJson = anyJsonOf(schemas.__shared as JsonSchema | undefined);
  const found: Record<string, JsonSchema> = {};
  for (const [name, { $id: _, $schema: __, ...schema }] of Object.entries(schemas) as [string, JsonSchema][]) {
    if (name === '__shared') continue;
    const description = comments[name];
    found[name] = withoutShared({ ...(description === undefined ? {} : { description }), ...schema }, anyJson);
  }
  return found;
}

/** The references that stand for "any JSON value", which zod writes as a schema that refers to itself. */
function anyJsonOf(shared: JsonSchema | undefined): (ref: string) => boolean {
  const definitions = (shared?.$defs ?? shared?.definitions ?? {}) as Record<string, { anyOf?: { type: string }[] }>;
  for (const [name, { anyOf = [] }] of Object.entries(definitions)) {
    const types = anyOf.map(({ type }) => type).join();
    if (types !== 'string,number,boolean,null,array,object') throw new Error(`${name} is not any JSON value`);
  }
  return (ref) => ref.includes('__shared#/');
}

function withoutShared<T>(value: T, isAnyJson: (ref: string) => boolean): T {
  if (Array.isArray(value)) return value.map((each) => withoutShared(each, isAnyJson)) as T;
  if (typeof value !== 'object' || value === null) return value;
  const { $ref } = value as { $ref?: unknown };
  if (typeof $ref === 'string' && isAnyJson($ref)) return { title: 'any JSON value' } as T;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, withoutShared(each, isAnyJson)])) as T;
}

/** What the comment right above each exported schema says. */
function exportComments(): Record<string, string> {
  const folder = join(root, 'node-runtime/contract/messages');
  const found = readdirSync(folder).map((name) => commentsBefore(join(folder, name), /^\s*export const (\w+)\b/));
  return Object.assign({}, ...found) as Record<string, string>;
}

/** What the comment right above each key of a stage and of a job says: an editor shows it. */
export function specComments(): { readonly stage: Record<string, string>; readonly job: Record<string, string> } {
  const path = join(root, 'node-runtime/contract/messages/job-spec.ts');
  return { stage: commentsBefore(path, /^\n {2}(\w+)[,:]/), job: commentsBefore(path, /^\n {4}(\w+)[,:]/) };
}

/** What the comment right above each name says, where the pattern finds one behind it. */
export function commentsBefore(path: string, pattern: RegExp): Record<string, string> {
  const text = readFileSync(path, 'utf8');
  const found: Record<string, string> = {};
  for (const { end, value } of parseSync(path, text).comments) {
    const name = pattern.exec(text.slice(end))?.[1];
    if (name !== undefined)
      found[name] = value
        .replace(/^\*/, '')
        .replaceAll(/\s*\n\s*\*\s*/g, ' ')
        .trim();
  }
  return found;
}
