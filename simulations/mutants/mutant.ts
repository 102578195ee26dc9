/** A bug that somebody might write: the simulator must find it. `find` stands exactly once in the file. */
export interface Mutant {
  readonly name: string;
  /** Below `node-runtime/core`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}
