/** A bug that somebody might write: the simulator must find it. `find` stands exactly once in the file. */
export interface Mutant {
  /** The simulation that must find it; the one of whole meshes unless said. */
  readonly in?: 'schedules';
  readonly name: string;
  /** Below `node-runtime/core`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}
