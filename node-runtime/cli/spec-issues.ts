import type * as z from 'zod';
import { nearest } from './text.ts';

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

/** One thing that is wrong with a value, for a person. */
export interface ExplainedIssue {
  readonly path: Path;
  /** Whether the key itself is meant, or the value under it. */
  readonly at: 'key' | 'value';
  readonly message: string;
}

/** What may stand in some places is said better by hand than by a schema; by the last key of the path. */
export type Expectations = Readonly<Record<string, string>>;

/** Every issue of a failed parse, in words: suggestions for unknown keys and words, what was expected and what was found. */
export function explainIssues(
  issues: readonly Issue[],
  value: unknown,
  schema: z.ZodType,
  expectations: Expectations,
): ExplainedIssue[] {
  return issues.flatMap((issue) => explain(issue, [], { root: value, schema, expectations }));
}

interface Scene {
  readonly root: unknown;
  readonly schema: z.ZodType;
  readonly expectations: Expectations;
}

function explain(issue: Issue, prefix: Path, scene: Scene): ExplainedIssue[] {
  const path = [...prefix, ...issue.path];
  const found = valueAt(scene.root, path);
  const last = String(path.at(-1) ?? 'the job');
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(key, path, found, scene));
  if (issue.code === 'invalid_key') {
    return [{ path, at: 'key', message: `the name "${last}" ${issue.issues[0]?.message ?? 'is wrong'}` }];
  }
  if (found === undefined && path.length > 0)
    return [{ path: path.slice(0, -1), at: 'key', message: `"${last}" is missing` }];
  if (issue.code === 'invalid_union') return explainUnion(issue, path, found, scene);
  return [{ path, at: 'value', message: messageOf(issue, found, scene.expectations[last]) }];
}

/** Of the alternatives of a union the one that was probably meant; when none fits at all, what would. */
function explainUnion(issue: z.core.$ZodIssueInvalidUnion, path: Path, found: unknown, scene: Scene): ExplainedIssue[] {
  const inner = issue.errors.flatMap((issues) => flattenUnion(issues));
  const fitting = inner.filter((issues) => !issues.some((each) => each.path.length === 0 && isWrongShape(each)));
  const best = fitting.sort((a, b) => a.length - b.length)[0];
  if (best === undefined) {
    const hint = scene.expectations[String(path.at(-1))];
    const words = inner.flat().flatMap((each) => (each.code === 'invalid_value' ? each.values : []));
    const wanted = hint ?? [...new Set(inner.map((issues) => expectedOf(issues[0]!)))].join(' or ');
    return [{ path, at: 'value', message: `must be ${wanted}, found ${describe(found)}${meant(found, words)}` }];
  }
  const unknown = best.filter((each) => each.code === 'unrecognized_keys');
  // With `inlin` for `inline`, one message is enough.
  const shown = unknown.length > 0 ? unknown : best;
  return shown.flatMap((each) => explain(each, path, scene));
}

function flattenUnion(issues: readonly Issue[]): Issue[][] {
  const [only] = issues;
  if (issues.length === 1 && only?.code === 'invalid_union' && only.path.length === 0) {
    return only.errors.flatMap((each) => flattenUnion(each));
  }
  return [[...issues]];
}

function isWrongShape(issue: Issue): boolean {
  return issue.code === 'invalid_type' || issue.code === 'invalid_value';
}

function unknownKey(key: string, path: Path, found: unknown, scene: Scene): ExplainedIssue {
  const present = new Set(Object.keys((found ?? {}) as object));
  const known = [...keysAt(scene.schema, path)].filter((each) => !present.has(each));
  const suggestion = nearest(key, known);
  const mend =
    suggestion !== undefined
      ? `; did you mean "${suggestion}"?`
      : known.length > 0
        ? `; there may be ${known.slice(0, 12).join(', ')}`
        : '';
  return { path: [...path, key], at: 'key', message: `unknown key "${key}"${mend}` };
}

function messageOf(issue: Issue, found: unknown, expectation: string | undefined): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${expectation ?? expectedOf(issue)}, found ${describe(found)}`;
    case 'invalid_value':
      return `must be ${expectedOf(issue)}, found ${describe(found)}${meant(found, issue.values)}`;
    case 'too_small':
    case 'too_big':
      return isOwnWords(issue) ? issue.message : boundOf(issue, found);
    default:
      return isOwnWords(issue) ? issue.message : `is wrong: ${issue.message}, found ${describe(found)}`;
  }
}

/** Whether the contract wrote the message, not the library. */
function isOwnWords({ message }: Issue): boolean {
  return !/^(Too (small|big)|Invalid|Unrecognized)/.test(message);
}

function boundOf(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig, found: unknown): string {
  const small = issue.code === 'too_small';
  const bound = small ? issue.minimum : issue.maximum;
  const than = issue.inclusive === false ? (small ? 'more than' : 'less than') : small ? 'at least' : 'at most';
  if (issue.origin === 'string') return `must have ${than} ${bound} characters, found ${describe(found)}`;
  if (issue.origin === 'array') return `must have ${than} ${bound} entries`;
  return `must be ${than} ${bound}, found ${describe(found)}`;
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
};

function expectedOf(issue: Issue): string {
  if (issue.code === 'invalid_type') return typeNames[issue.expected] ?? `a ${issue.expected}`;
  if (issue.code === 'invalid_value') return issue.values.map((each) => JSON.stringify(each)).join(' or ');
  return issue.message;
}

function meant(found: unknown, words: readonly unknown[]): string {
  if (typeof found !== 'string') return '';
  const suggestion = nearest(
    found,
    words.filter((word) => typeof word === 'string'),
  );
  return suggestion === undefined ? '' : `; did you mean "${suggestion}"?`;
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  const text = JSON.stringify(value);
  return text.length > 40 ? `${text.slice(0, 37)}..."` : text;
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

/** The keys that a schema knows at a path, over all alternatives. */
function keysAt(schema: z.ZodType, path: Path): Set<string> {
  let nodes = unfold([schema]);
  for (const key of path) nodes = unfold(nodes.flatMap((node) => childOf(node, key)));
  return new Set(nodes.flatMap((node) => (node.type === 'object' ? Object.keys(node.shape as object) : [])));
}

type Definition = { readonly type: string } & Readonly<Record<string, unknown>>;

function childOf(node: Definition, key: PropertyKey): z.ZodType[] {
  if (node.type === 'object') {
    const child = (node.shape as Record<PropertyKey, z.ZodType | undefined>)[key];
    return child === undefined ? [] : [child];
  }
  if (node.type === 'record') return [node.valueType as z.ZodType];
  return node.type === 'array' ? [node.element as z.ZodType] : [];
}

/** Definitions with optional, default, pipe and union taken apart. */
function unfold(nodes: readonly (z.ZodType | Definition)[]): Definition[] {
  return nodes.flatMap((node) => {
    const definition = ('_zod' in node ? (node as z.ZodType)._zod.def : node) as unknown as Definition;
    const { type, innerType, options, in: input } = definition;
    if (type === 'optional' || type === 'default') return unfold([innerType as z.ZodType]);
    if (type === 'union') return unfold(options as z.ZodType[]);
    if (type === 'pipe') return unfold([input as z.ZodType]);
    return [definition];
  });
}
