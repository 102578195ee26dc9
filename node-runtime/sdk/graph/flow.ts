import { type DataReference, type JobSpecInput, limits, MeshError } from '../../contract/index.ts';
import type { FileContent } from '../../data/archive.ts';
import type { SlicedBytes } from '../../data/upload-source.ts';
import type { FileLike, TaskLike } from './task-like.ts';

/**
 * Jobs written as calls. Nothing runs while the calls are made: each gives a handle on what will be there, and remembers
 * what it was made of. Those memories are the graph.
 *
 * ```ts
 * const frames = items<Frame>({ file: 'frames.json' });
 * const edges = frames.map(sobel);
 * const out = edges.reduce(merge);
 * const spec = await mesh.prepare(job(out, { name: 'edges' }), author);
 * ```
 */

/** Text, bytes, a file's path, what a user of a page picked, a list for `items`, files by name for `files`, or a blob that the mesh has. */
export type FlowInput =
  | { readonly text: string }
  | { readonly file: string }
  | DataReference
  | Uint8Array
  | SlicedBytes
  | { readonly files: Readonly<Record<string, FileContent>> }
  | readonly unknown[];
type NoList = Exclude<FlowInput, readonly unknown[]>;
type NoFiles = Exclude<NoList, { readonly files: unknown }>;

/**
 * What runs on the nodes: a function that uses nothing from outside of itself, or a module by its path or `file:` URL, whose
 * default export (or the one named after a `#`) is the function. Modules may import; functions see their arguments alone.
 */
// biome-ignore lint/suspicious/noExplicitAny: any function of the right shape; a module's types are its own
export type FlowCode<F extends (...values: any[]) => unknown> = F | string | URL;

type StageKeys = JobSpecInput['stages'][string];
/**
 * All that a stage may have besides what the calls themselves say; `name` for people, `chunks` as in `split`, `engine` `node` for
 * signed code at full speed (`js` unless said).
 */
export type StageOptions = Omit<StageKeys, 'code' | 'input' | 'needs' | 'split' | 'merge'> & {
  readonly name?: string;
  readonly engine?: 'js' | 'node';
};
export type SplitOptions = StageOptions & { readonly chunks?: number };
export type JobOptions = Omit<JobSpecInput, 'stages' | 'v'>;

/** How records are found; `size` is that of a block, as in a stage's `split`. */
type FlowSplit =
  | { readonly by: 'lines' | 'items' | 'files' }
  | { readonly by: 'bytes'; readonly size: number | string };

export type StageKind = 'map' | 'chunks' | 'reduce' | 'task' | 'copy';

/** One call: a stage of the job to be. */
export interface StageCall {
  readonly kind: StageKind;
  readonly code: FlowCode<(...values: never[]) => unknown> | undefined;
  readonly options: SplitOptions;
  readonly input?: FlowInput;
  readonly split?: FlowSplit;
  /** What it needs, by the name that its code knows it by. */
  readonly needs: Readonly<Record<string, StageCall>>;
  readonly initial?: { readonly value: unknown };
}

const stageOf = new WeakMap<object, StageCall>();

/** The call that a handle came from. Throws `MESH_USAGE` for what is no handle. */
function callOf(handle: unknown, what: string): StageCall {
  const call = typeof handle === 'object' && handle !== null ? stageOf.get(handle) : undefined;
  if (call !== undefined) return call;
  throw new MeshError('MESH_USAGE', `${what} is not the result of a call that makes a graph`, {
    mend: 'hand over what `map`, `chunks`, `reduce` or `task` gave; plain values go into `parameters`',
  });
}

/** What is known of the records that a stage is split by. */
interface Source {
  readonly split: FlowSplit;
  readonly input?: FlowInput;
  readonly from?: StageCall;
}

/** Records that are there, or will be: lines of a text, elements of a JSON array, files, blocks of bytes. */
export class Records<T> {
  readonly #source: Source;

  constructor(source: Source) {
    this.#source = source;
  }

  /** Calls the function with each record, on as many nodes as there is work for; keeps what it returns, as JSON, in their order. */
  map<R>(code: FlowCode<(record: T, task: TaskLike) => R>, options: SplitOptions = {}): Mapped<Awaited<R>> {
    return new Mapped(this.#call('map', code, options));
  }

  /**
   * Calls the function once for each chunk of records, with the task whose `input` they are; it may return anything that a task
   * may, bytes too. Gives the list of what the chunks gave.
   */
  chunks<R>(code: FlowCode<(task: TaskLike<T>) => R>, options: SplitOptions = {}): Parts<Awaited<R>> {
    return new Parts(this.#call('chunks', code, options));
  }

  #call(kind: StageKind, code: StageCall['code'], options: SplitOptions): StageCall {
    const { split, input, from } = this.#source;
    if (split.by === 'bytes' && options.chunks !== undefined) {
      throw new MeshError('MESH_USAGE', 'blocks of bytes are cut by their size, not into `chunks`', {
        mend: 'bytes(input, { size })',
      });
    }
    return {
      kind,
      code,
      options,
      split,
      needs: from === undefined ? {} : { from },
      ...(input === undefined ? {} : { input }),
    };
  }
}

/** What a stage will give. */
class Flow<T> {
  /** Keeps `T` in the type: a handle on numbers is not one on strings. */
  declare readonly value: T;

  constructor(call: StageCall) {
    stageOf.set(this, call);
  }
}

/** A list that will be there, in pieces: one for each chunk. */
class ListFlow<T> extends Flow<readonly T[]> {
  /**
   * As `Array.prototype.reduce`: from the first to the last, in one task, when all are there. The function need not be associative.
   * Of an empty list it is `initial`; without one the job fails.
   */
  reduce<A = T>(
    code: FlowCode<(accumulator: A, value: T, index: number) => A | Promise<A>>,
    ...rest: [options?: StageOptions & { readonly initial?: A }]
  ): Value<A> {
    const [{ initial, ...options } = {} as { initial?: A }] = rest;
    const hasInitial = rest[0] !== undefined && Object.hasOwn(rest[0], 'initial');
    return new Value({
      kind: 'reduce',
      code: code as StageCall['code'],
      options,
      needs: { from: callOf(this, 'it') },
      ...(hasInitial ? { initial: { value: initial } } : {}),
    });
  }
}

/** What a `map` gives: one value for each record. */
export class Mapped<T> extends ListFlow<T> {
  map<R>(code: FlowCode<(record: T, task: TaskLike) => R>, options?: SplitOptions): Mapped<Awaited<R>> {
    return this.#records().map(code, options);
  }

  chunks<R>(code: FlowCode<(task: TaskLike<T>) => R>, options?: SplitOptions): Parts<Awaited<R>> {
    return this.#records().chunks(code, options);
  }

  #records(): Records<T> {
    return new Records({ split: { by: 'items' }, from: callOf(this, 'it') });
  }
}

/** What `chunks` gives: one value for each chunk. How many there are depends on the fleet. */
export class Parts<T> extends ListFlow<T> {}

/** One value that will be there. */
export class Value<T> extends Flow<T> {
  /** Its elements, once it is there: it must be a JSON array. */
  items(): Records<T extends readonly (infer E)[] ? E : unknown> {
    return this.#records({ by: 'items' });
  }

  /** Its lines, once it is there: it must be text (`task.text`). */
  lines(): Records<string> {
    return this.#records({ by: 'lines' });
  }

  /** Its files, once it is there: it must be what `task.files` makes. */
  files(): Records<FileLike> {
    return this.#records({ by: 'files' });
  }

  /** Its bytes, once they are there, `size` at a time. */
  bytes({ size }: BlockOptions): Records<Uint8Array> {
    return this.#records({ by: 'bytes', size });
  }

  #records<R>(split: FlowSplit): Records<R> {
    return new Records({ split, from: callOf(this, 'it') });
  }
}

/** Of one block: bytes, or a number with `B`, `kB`, `KiB`, `MB`, `MiB`, `GB` or `GiB`. */
export interface BlockOptions {
  readonly size: number | string;
}

export type AnyFlow<T = unknown> = Mapped<T> | Parts<T> | Value<T>;

/** The lines of an input. */
export function lines(input: NoFiles): Records<string> {
  return new Records({ split: { by: 'lines' }, input });
}

/** Files: by name, or those of an archive of tar. */
export function files(input: Exclude<NoList, { readonly text: string }>): Records<FileLike> {
  return new Records({ split: { by: 'files' }, input });
}

/** An input, so many bytes at a time, whatever stands there. */
export function bytes(input: NoFiles, { size }: BlockOptions): Records<Uint8Array> {
  return new Records({ split: { by: 'bytes', size }, input });
}

/** The elements of a JSON array: of an input, or of a list that is handed over as it is. */
export function items<T = unknown>(input: readonly T[] | NoFiles): Records<T> {
  return new Records({ split: { by: 'items' }, input });
}

type NeedsOf<N> = { readonly [K in keyof N]: N[K] extends Flow<infer T> ? T : never };

/**
 * Calls the function once, when all that it needs is there: `task.needs` has each under the name it is given here. Without needs it
 * reads `input`, or nothing.
 */
export function task<R, N extends Readonly<Record<string, Flow<unknown>>> = Record<never, never>>(
  code: FlowCode<(task: TaskLike<string, NeedsOf<N>>) => R>,
  options: StageOptions & { readonly needs?: N; readonly input?: FlowInput } = {},
): Value<Awaited<R>> {
  const { needs, input, ...rest } = options;
  if (needs !== undefined && input !== undefined) {
    throw new MeshError('MESH_USAGE', 'a task has `input` or `needs`, not both', {
      mend: 'hand what is known already over as `parameters`',
    });
  }
  const calls = Object.entries(needs ?? {}).map(([name, flow]) => [name, callOf(flow, `needs.${name}`)] as const);
  return new Value({
    kind: 'task',
    code: code as StageCall['code'],
    options: rest,
    needs: Object.fromEntries(calls),
    ...(input === undefined ? {} : { input }),
  });
}

/** A job that was traced: what is to come out, and what that is made of. */
export interface JobGraph {
  readonly options: JobOptions;
  /** Each stage after those that it needs. */
  readonly stages: readonly { readonly name: string; readonly call: StageCall; readonly isOutput: boolean }[];
}

/**
 * The graph of what these outputs are made of: one handle, or several by the names that they have in the result. Throws
 * `MESH_USAGE`, `MESH_LIMIT_EXCEEDED`.
 */
export function job(outputs: AnyFlow | Readonly<Record<string, AnyFlow>>, options: JobOptions = {}): JobGraph {
  const wanted = wantedOf(outputs);
  const asked = new Map<StageCall, string>();
  const order: StageCall[] = [];
  const visit = (call: StageCall): void => {
    if (order.includes(call)) return;
    for (const need of Object.values(call.needs)) visit(need);
    order.push(call);
  };
  for (const [, call] of wanted) visit(call);
  const needed = new Set(order.flatMap((call) => Object.values(call.needs)));
  const outputCalls: StageCall[] = [];
  for (const [name, call] of wanted) {
    // The result has what no other stage needs: an output that others need too, or that is wanted twice, is handed on.
    const isLast = !needed.has(call) && !asked.has(call);
    const last: StageCall = isLast ? call : { kind: 'copy', code: undefined, options: {}, needs: { from: call } };
    if (!isLast) order.push(last);
    if (name !== undefined) asked.set(last, name);
    outputCalls.push(last);
  }
  if (order.length > limits.stagesPerJob) {
    throw new MeshError('MESH_LIMIT_EXCEEDED', `stagesPerJob is ${limits.stagesPerJob}, found ${order.length}`);
  }
  const names = namesOf(order, asked);
  const stages = order.map((call) => ({ name: names.get(call)!, call, isOutput: outputCalls.includes(call) }));
  return { options, stages };
}

function wantedOf(outputs: AnyFlow | Readonly<Record<string, AnyFlow>>): [string | undefined, StageCall][] {
  if (outputs instanceof Flow) return [[undefined, callOf(outputs, 'the output')]];
  const several = Object.entries(outputs ?? {});
  if (several.length === 0) {
    throw new MeshError('MESH_USAGE', 'a job without outputs does nothing', { mend: 'job(out) or job({ name: out })' });
  }
  return several.map(([name, flow]) => [name, callOf(flow, `output ${name}`)]);
}

/** Names of stages: those that were asked for, else of the functions and files, with a number where that would be two. */
function namesOf(order: readonly StageCall[], asked: ReadonlyMap<StageCall, string>): Map<StageCall, string> {
  const names = new Map<StageCall, string>();
  const taken = new Set<string>();
  // An output that others need too is handed on under its name; the stage itself gets a number.
  const handedOn = new Map(
    order.flatMap((call) => (call.kind === 'copy' ? [[call.needs.from!, asked.get(call)]] : [])),
  );
  const fixed = (call: StageCall) => {
    const name = asked.get(call) ?? call.options.name;
    return name !== undefined && handedOn.get(call) === name ? undefined : name;
  };
  for (const call of order) {
    const name = fixed(call);
    if (name === undefined) continue;
    if (taken.has(name)) {
      throw new MeshError('MESH_USAGE', `two stages are called "${name}"`, { mend: 'give one of them another name' });
    }
    taken.add(name);
    names.set(call, name);
  }
  for (const call of order) {
    if (names.has(call)) continue;
    const base = call.options.name ?? wordsOf(call.code) ?? call.kind;
    let name = base;
    for (let n = 2; taken.has(name); n++) name = `${base}-${n}`;
    taken.add(name);
    names.set(call, name);
  }
  return names;
}

function wordsOf(code: StageCall['code']): string | undefined {
  const text = typeof code === 'function' ? code.name : code === undefined ? '' : String(code);
  const base = text.includes('#') ? text.slice(text.lastIndexOf('#') + 1) : text.replace(/^.*[\\/]|\.\w+$/g, '');
  // Room for a number, and for the names of its tasks.
  const word = base.replace(/[^A-Za-z0-9_-]+/g, '-').replace(/^-+|-+$/g, '');
  return word === '' ? undefined : word.slice(0, limits.stageCharacters - 4);
}
