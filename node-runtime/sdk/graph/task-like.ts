/**
 * What a function of a graph sees of its task: as `Task` of `@foremesh/node-runtime/task`, with the types of what flows. It is there
 * on the node, not where the graph is made.
 */
export interface TaskLike<Record_ = string, Needs = Readonly<Record<string, unknown>>> {
  readonly input: AsyncIterable<Record_> &
    Iterable<Record_> & {
      readonly length: number;
      readonly sizeBytes: number;
      /** The byte of the whole input at which this part begins. */
      readonly start: number;
      text(): string;
      json(): unknown;
      bytes(): Uint8Array;
    };
  readonly needs: Needs;
  /** `parameters` of the stage. */
  // biome-ignore lint/suspicious/noExplicitAny: what the author handed over, only the author knows
  readonly parameters: any;
  progress(fraction: number): void;
  log(...values: unknown[]): void;
  /** Wraps a string, so that the task gives plain text; whoever reads it has the string. */
  text(value: string): string;
  /** Makes bytes that hold files by name. */
  files(contents: Readonly<Record<string, string | Uint8Array>>): Uint8Array;
}

/** A record of what is split by files: as `InputFile` of `@foremesh/node-runtime/task`. */
export interface FileLike {
  readonly name: string;
  readonly sizeBytes: number;
  bytes(): Uint8Array;
  text(): string;
  json(): unknown;
}
