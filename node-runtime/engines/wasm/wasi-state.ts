/** An open file as the guest knows it. A read names its offset to the content: the content keeps no state. */
export interface Descriptor {
  readonly kind: 'stdin' | 'stdout' | 'stderr' | 'file' | 'directory';
  /** From the root; "" for it, and for what has no path. */
  readonly path: string;
  offset: number;
  flags: number;
  /** Rights of WASI, all of which fit in a number. */
  rights: number;
  inheriting: number;
}

/**
 * All that the host remembers of a running task besides what it has written: plain values, so that with the guest's memory, its
 * globals and the output it is the whole state of the task.
 */
export interface WasiState {
  /** By number; null is free. */
  descriptors: (Descriptor | null)[];
  /** Of the stream of random bytes that the task's identity gives. */
  randomBytesDrawn: number;
  /** What the wall clock said when the task began, milliseconds since 1970. */
  beganAtMs: number;
  /** How long it had run when this state was taken, milliseconds. */
  elapsedMs: number;
}

export const rights = {
  fdDatasync: 1 << 0,
  fdRead: 1 << 1,
  fdSeek: 1 << 2,
  fdFdstatSetFlags: 1 << 3,
  fdSync: 1 << 4,
  fdTell: 1 << 5,
  fdWrite: 1 << 6,
  fdAdvise: 1 << 7,
  pathOpen: 1 << 13,
  fdReaddir: 1 << 14,
  pathReadlink: 1 << 15,
  pathFilestatGet: 1 << 18,
  fdFilestatGet: 1 << 21,
  pollFdReadwrite: 1 << 27,
} as const;

/** What may be asked for: a program that asks to write is told why it cannot. */
const allRights = 0x3fff_ffff;
const common = rights.fdFilestatGet | rights.pollFdReadwrite | rights.fdFdstatSetFlags;
export const fileRights =
  common | rights.fdRead | rights.fdSeek | rights.fdTell | rights.fdAdvise | rights.fdSync | rights.fdDatasync;
export const directoryRights =
  rights.pathOpen |
  rights.fdReaddir |
  rights.pathReadlink |
  rights.pathFilestatGet |
  rights.fdFilestatGet |
  rights.fdSync;

/** Standard input, output, errors, and the root as the one folder that is open from the start. */
export function initialState(beganAtMs: number): WasiState {
  const stream = (kind: 'stdin' | 'stdout' | 'stderr', own: number): Descriptor => ({
    kind,
    path: '',
    offset: 0,
    flags: 0,
    rights: own | common,
    inheriting: 0,
  });
  return {
    descriptors: [
      stream('stdin', rights.fdRead),
      stream('stdout', rights.fdWrite),
      stream('stderr', rights.fdWrite),
      { kind: 'directory', path: '', offset: 0, flags: 0, rights: directoryRights, inheriting: allRights },
    ],
    randomBytesDrawn: 0,
    beganAtMs,
    elapsedMs: 0,
  };
}
