/** The module name of WASI preview 1, and that of Foremesh's own imports. */
export const wasiModule = 'wasi_snapshot_preview1';
export const foremeshModule = 'foremesh';

/**
 * All functions of WASI preview 1, with the types of their parameters: `i` is i32, `I` is i64. Each returns an errno (i32), but
 * for `proc_exit`, which does not return.
 * Source: https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md
 */
export const wasiParameters = {
  args_get: 'ii',
  args_sizes_get: 'ii',
  environ_get: 'ii',
  environ_sizes_get: 'ii',
  clock_res_get: 'ii',
  clock_time_get: 'iIi',
  fd_advise: 'iIIi',
  fd_allocate: 'iII',
  fd_close: 'i',
  fd_datasync: 'i',
  fd_fdstat_get: 'ii',
  fd_fdstat_set_flags: 'ii',
  fd_fdstat_set_rights: 'iII',
  fd_filestat_get: 'ii',
  fd_filestat_set_size: 'iI',
  fd_filestat_set_times: 'iIIi',
  fd_pread: 'iiiIi',
  fd_prestat_get: 'ii',
  fd_prestat_dir_name: 'iii',
  fd_pwrite: 'iiiIi',
  fd_read: 'iiii',
  fd_readdir: 'iiiIi',
  fd_renumber: 'ii',
  fd_seek: 'iIii',
  fd_sync: 'i',
  fd_tell: 'ii',
  fd_write: 'iiii',
  path_create_directory: 'iii',
  path_filestat_get: 'iiiii',
  path_filestat_set_times: 'iiiiIIi',
  path_link: 'iiiiiii',
  path_open: 'iiiiiIIii',
  path_readlink: 'iiiiii',
  path_remove_directory: 'iii',
  path_rename: 'iiiiii',
  path_symlink: 'iiiii',
  path_unlink_file: 'iii',
  poll_oneoff: 'iiii',
  proc_exit: 'i',
  proc_raise: 'i',
  random_get: 'ii',
  sched_yield: '',
  sock_accept: 'iii',
  sock_recv: 'iiiiii',
  sock_send: 'iiiii',
  sock_shutdown: 'ii',
} as const;

export type WasiName = keyof typeof wasiParameters;

/** Foremesh's own: `progress` takes a fraction (f64, `d`). */
const foremeshParameters = { progress: 'd' } as const;

/** "ii:i": parameters and result of an import that is served; undefined for one that is not. */
export function signatureOf(module: string, name: string): string | undefined {
  if (module === wasiModule && Object.hasOwn(wasiParameters, name)) {
    return `${wasiParameters[name as WasiName]}:${name === 'proc_exit' ? '' : 'i'}`;
  }
  if (module === foremeshModule && Object.hasOwn(foremeshParameters, name)) {
    return `${foremeshParameters[name as keyof typeof foremeshParameters]}:`;
  }
  return undefined;
}

/** Errno of WASI preview 1. */
export const errno = {
  success: 0,
  badf: 8,
  exist: 20,
  fault: 21,
  ilseq: 25,
  inval: 28,
  isdir: 31,
  mfile: 33,
  nametoolong: 37,
  noent: 44,
  nosys: 52,
  notdir: 54,
  notsock: 57,
  notsup: 58,
  overflow: 61,
  rofs: 69,
  spipe: 70,
  notcapable: 76,
} as const;

export type Errno = (typeof errno)[keyof typeof errno];
