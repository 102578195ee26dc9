/**
 * What the code of a task sees, for authors: types only. A task is an ES module whose default export is a function:
 *
 * ```ts
 * import type { Task } from '@foremesh/node-runtime/task';
 *
 * export default async function (task: Task) {
 *   let sum = 0;
 *   for await (const line of task.input) sum += Number(line);
 *   return { sum };
 * }
 * ```
 *
 * There is no file, no network, no timer and no import. ECMAScript 2023 is there, `TextEncoder`, `TextDecoder` (UTF-8),
 * `queueMicrotask`, `Math.random` and `Date` too. The module is evaluated once and its state is set back before every
 * task, so nothing is carried from one task to the next.
 */
export interface Task<Parameters = unknown, Needs = Record<string, unknown>> {
  /** What this task reads; empty when the stage reads the outputs of other stages as they are. */
  readonly input: TaskInput;
  /** The value of each stage that this one needs; an array for a stage that was split and not merged. */
  readonly needs: Readonly<Needs>;
  /** In a merge: the values of the parts, in record order. */
  readonly parts: readonly unknown[];
  /** `parameters` of the stage. */
  readonly parameters: Parameters;
  /** How much is done, 0 to 1. Reports that follow each other quickly are thinned out. */
  progress(fraction: number): void;
  /** Writes one line (or more) to the log of the task; `console.log`, `.info`, `.warn`, `.error` and `.debug` are the same. */
  log(...values: unknown[]): void;
  /** Wraps a string so that the task gives text, not a JSON string. */
  text(value: string): TextOutput;
}

/** A task of engine `node`: Node.js is there too, and the packages that were bundled. */
export interface NodeTask<Parameters = unknown, Needs = Record<string, unknown>> extends Task<Parameters, Needs> {
  /** A place where the task may be held, and in a later release moved: gives way to what else there is to do. */
  yield(): Promise<void>;
}

/**
 * What the function returns: a JSON value (`undefined` is `null`), bytes, or text. What has no JSON (a function, a circle, a
 * BigInt) fails with MESH_TASK_OUTPUT.
 */
export type TaskValue = unknown | Uint8Array | ArrayBuffer | TextOutput;

declare const textOutput: unique symbol;
export interface TextOutput {
  readonly [textOutput]: true;
}

/**
 * Records: the elements of a JSON array where the stage is split by items, lines everywhere else. A line ends at "\n", "\r\n"
 * or "\r"; a last line without an end counts. Invalid UTF-8 reads as U+FFFD. Read as a stream, so that a large input
 * needs little memory; each `await` of a record is a place where a running task can be moved.
 */
export interface TaskInput<T = never> extends AsyncIterable<RecordOf<T>>, Iterable<RecordOf<T>> {
  /** How many records there are. */
  readonly length: number;
  readonly sizeBytes: number;
  /** All of it as text. By items: the elements with the commas between them. */
  text(): string;
  /** All of it parsed. By items: the array of the elements. */
  json(): unknown;
  bytes(): Uint8Array;
}

// biome-ignore lint/suspicious/noExplicitAny: what a record is, only the author knows
type RecordOf<T> = [T] extends [never] ? any : T;

export type TaskFunction<Parameters = unknown, Needs = Record<string, unknown>> = (
  task: Task<Parameters, Needs>,
) => TaskValue | Promise<TaskValue>;

export type NodeTaskFunction<Parameters = unknown, Needs = Record<string, unknown>> = (
  task: NodeTask<Parameters, Needs>,
) => TaskValue | Promise<TaskValue>;
