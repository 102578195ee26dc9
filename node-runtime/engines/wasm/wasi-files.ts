import { limits } from '../../contract/index.ts';
import type { FileContent, FileTree, TreeNode } from './file-tree.ts';
import { type GuestMemory, WasiError } from './guest-memory.ts';
import { errno } from './wasi-names.ts';
import { type Descriptor, directoryRights, fileRights, rights, type WasiState } from './wasi-state.ts';

export interface FilesPort {
  readonly memory: () => GuestMemory;
  readonly stdin: FileContent;
  readonly tree: FileTree;
  readonly state: WasiState;
  /** Takes what is written to standard output or to standard error. */
  write(to: 'stdout' | 'stderr', bytes: Uint8Array): void;
}

type Pointer = number;
const fileType = { character: 2, directory: 3, regular: 4 } as const;
const openFlags = { create: 1, directory: 2, exclusive: 4, truncate: 8 } as const;
const flagsMost = 0x1f;
const rightsMost = 0x3fff_ffffn;
const whence = { set: 0, current: 1, end: 2 } as const;
const pathBytesMost = 4_096;
const direntBytes = 24;
const rootName = '/';

/** The calls of WASI preview 1 that are about files: a read-only tree, standard input, output and errors. */
export function fileCalls({ memory, stdin, tree, state, write }: FilesPort) {
  const of = (fd: number): Descriptor => state.descriptors[fd >>> 0] ?? fail(errno.badf);
  const nodeOf = ({ path }: Descriptor): TreeNode => tree.get(path) ?? fail(errno.badf);
  const contentOf = (descriptor: Descriptor): FileContent => {
    if (descriptor.kind === 'stdin') return stdin;
    if (descriptor.kind === 'directory') return fail(errno.isdir);
    const node = descriptor.kind === 'file' ? nodeOf(descriptor) : fail(errno.badf);
    return node.kind === 'file' ? node.content : fail(errno.badf);
  };
  /** For what there is nothing to do, but with a descriptor that is open. */
  const isOpen = (fd: number) => {
    of(fd);
    return errno.success;
  };
  const readOnly = (fd: number) => {
    of(fd);
    return fail(errno.rofs);
  };
  const readOnlyPath = (fd: number, path: Pointer, sizeBytes: number) => {
    resolve(of(fd), path, sizeBytes);
    return fail(errno.rofs);
  };

  /** The path from the root. What leads out of it is not there to be named. */
  const resolve = (from: Descriptor, pointer: Pointer, sizeBytes: number): string => {
    if (from.kind !== 'directory') fail(errno.notdir);
    if (sizeBytes >>> 0 > pathBytesMost) fail(errno.nametoolong);
    const text = memory().text(pointer, sizeBytes >>> 0);
    if (text === '') fail(errno.noent);
    if (text.includes('\0')) fail(errno.inval);
    if (text.startsWith('/')) fail(errno.notcapable);
    const names = from.path === '' ? [] : from.path.split('/');
    const least = names.length;
    for (const name of text.split('/')) {
      if (name === '' || name === '.') continue;
      if (name !== '..') names.push(name);
      else if (names.length <= least) fail(errno.notcapable);
      else names.pop();
    }
    return names.join('/');
  };
  const find = (path: string): TreeNode => {
    const node = tree.get(path);
    if (node !== undefined) return node;
    // ENOTDIR where a part of the path is a file, as everywhere.
    for (let cut = path.lastIndexOf('/'); cut > 0; cut = path.lastIndexOf('/', cut - 1)) {
      if (tree.get(path.slice(0, cut))?.kind === 'file') fail(errno.notdir);
    }
    return fail(errno.noent);
  };
  const setStatus = (pointer: Pointer, type: number, number: number, sizeBytes: number) => {
    const bytes = memory().bytes(pointer, 64);
    bytes.fill(0);
    memory().set64(pointer + 8, BigInt(number));
    bytes[16] = type;
    memory().set64(pointer + 24, 1n);
    memory().set64(pointer + 32, BigInt(sizeBytes));
    return errno.success;
  };
  const setStatusOf = (pointer: Pointer, node: TreeNode) =>
    node.kind === 'file'
      ? setStatus(pointer, fileType.regular, node.number, node.content.sizeBytes)
      : setStatus(pointer, fileType.directory, node.number, 0);
  const readInto = (content: FileContent, from: number, pieces: Pointer, count: number, read: Pointer): number => {
    const wanted = memory().pieces(pieces, count);
    memory().bytes(read, 4);
    let done = 0;
    for (const { at, sizeBytes } of wanted) {
      const got = content.read(from + done, memory().bytes(at, sizeBytes));
      done += got;
      if (got < sizeBytes) break;
    }
    memory().set32(read, done);
    return done;
  };

  return {
    fd_advise: (fd: number, _offset: bigint, _sizeBytes: bigint, advice: number) => {
      if (of(fd).kind !== 'file') fail(errno.spipe);
      return advice >>> 0 <= 5 ? errno.success : errno.inval;
    },
    fd_allocate: readOnly,
    fd_close: (fd: number) => {
      of(fd);
      state.descriptors[fd >>> 0] = null;
      return errno.success;
    },
    fd_datasync: isOpen,
    fd_sync: isOpen,
    fd_fdstat_get: (fd: number, pointer: Pointer) => {
      const { kind, flags, rights: own, inheriting } = of(fd);
      const bytes = memory().bytes(pointer, 24);
      bytes.fill(0);
      bytes[0] = kind === 'file' ? fileType.regular : kind === 'directory' ? fileType.directory : fileType.character;
      bytes[2] = flags;
      memory().set64(pointer + 8, BigInt(own));
      memory().set64(pointer + 16, BigInt(inheriting));
      return errno.success;
    },
    fd_fdstat_set_flags: (fd: number, flags: number) => {
      const descriptor = of(fd);
      if (flags >>> 0 > flagsMost) return errno.inval;
      descriptor.flags = flags;
      return errno.success;
    },
    fd_fdstat_set_rights: (fd: number, own: bigint, inheriting: bigint) => {
      const descriptor = of(fd);
      const wanted = rightsOf(own);
      const wantedInheriting = rightsOf(inheriting);
      if ((wanted & ~descriptor.rights) !== 0 || (wantedInheriting & ~descriptor.inheriting) !== 0)
        return errno.notcapable;
      descriptor.rights = wanted;
      descriptor.inheriting = wantedInheriting;
      return errno.success;
    },
    fd_filestat_get: (fd: number, pointer: Pointer) => {
      const descriptor = of(fd);
      if (descriptor.kind === 'file' || descriptor.kind === 'directory')
        return setStatusOf(pointer, nodeOf(descriptor));
      return setStatus(pointer, fileType.character, 0, 0);
    },
    fd_filestat_set_size: readOnly,
    fd_filestat_set_times: readOnly,
    fd_pread: (fd: number, pieces: Pointer, count: number, offset: bigint, read: Pointer) => {
      const descriptor = of(fd);
      if (descriptor.kind === 'stdin') return errno.spipe;
      const content = contentOf(descriptor);
      if ((descriptor.rights & rights.fdRead) === 0) return errno.notcapable;
      readInto(content, offsetOf(offset), pieces, count, read);
      return errno.success;
    },
    fd_prestat_get: (fd: number, pointer: Pointer) => {
      const { kind, path } = of(fd);
      if (kind !== 'directory' || path !== '') return errno.badf;
      memory().bytes(pointer, 8).fill(0);
      memory().set32(pointer + 4, rootName.length);
      return errno.success;
    },
    fd_prestat_dir_name: (fd: number, pointer: Pointer, sizeBytes: number) => {
      const { kind, path } = of(fd);
      if (kind !== 'directory' || path !== '') return errno.badf;
      if (sizeBytes >>> 0 < rootName.length) return errno.nametoolong;
      memory().bytes(pointer, rootName.length).set(Buffer.from(rootName));
      return errno.success;
    },
    fd_pwrite: (fd: number, pieces: Pointer, count: number, _offset: bigint, _written: Pointer) => {
      const { kind } = of(fd);
      memory().pieces(pieces, count);
      return kind === 'stdout' || kind === 'stderr' ? errno.spipe : errno.badf;
    },
    fd_read: (fd: number, pieces: Pointer, count: number, read: Pointer) => {
      const descriptor = of(fd);
      const content = contentOf(descriptor);
      if ((descriptor.rights & rights.fdRead) === 0) return errno.notcapable;
      descriptor.offset += readInto(content, descriptor.offset, pieces, count, read);
      return errno.success;
    },
    fd_readdir: (fd: number, pointer: Pointer, sizeBytes: number, cookie: bigint, used: Pointer) => {
      const descriptor = of(fd);
      if (descriptor.kind !== 'directory') return errno.notdir;
      const node = nodeOf(descriptor);
      if (node.kind !== 'directory') return errno.notdir;
      const target = memory().bytes(pointer, sizeBytes >>> 0);
      memory().bytes(used, 4);
      let at = 0;
      // More than the list has names: there is nothing behind it.
      for (
        let index = Number(BigInt.asUintN(64, cookie));
        index < node.names.length && at < target.length;
        index += 1
      ) {
        const name = node.names[index]!;
        const child = find(descriptor.path === '' ? name : `${descriptor.path}/${name}`);
        const entry = direntOf(name, child, index + 1);
        const piece = entry.subarray(0, target.length - at);
        target.set(piece, at);
        at += piece.length;
      }
      memory().set32(used, at);
      return errno.success;
    },
    fd_renumber: (from: number, to: number) => {
      const descriptor = of(from);
      of(to);
      if (from >>> 0 === to >>> 0) return errno.success;
      state.descriptors[to >>> 0] = descriptor;
      state.descriptors[from >>> 0] = null;
      return errno.success;
    },
    fd_seek: (fd: number, offset: bigint, from: number, pointer: Pointer) => {
      const descriptor = of(fd);
      if (descriptor.kind === 'directory') return errno.isdir;
      if (descriptor.kind !== 'file') return errno.spipe;
      const { sizeBytes } = contentOf(descriptor);
      const bases: Readonly<Record<number, number>> = {
        [whence.set]: 0,
        [whence.current]: descriptor.offset,
        [whence.end]: sizeBytes,
      };
      const base = bases[from];
      if (base === undefined) return errno.inval;
      const wanted = BigInt(base) + offset;
      if (wanted < 0n) return errno.inval;
      if (wanted > BigInt(Number.MAX_SAFE_INTEGER)) return errno.overflow;
      memory().set64(pointer, wanted);
      descriptor.offset = Number(wanted);
      return errno.success;
    },
    fd_tell: (fd: number, pointer: Pointer) => {
      const { kind, offset } = of(fd);
      if (kind !== 'file') return errno.spipe;
      memory().set64(pointer, BigInt(offset));
      return errno.success;
    },
    fd_write: (fd: number, pieces: Pointer, count: number, written: Pointer) => {
      const { kind, rights: own } = of(fd);
      if (kind !== 'stdout' && kind !== 'stderr') return errno.badf;
      if ((own & rights.fdWrite) === 0) return errno.notcapable;
      const given = memory().pieces(pieces, count);
      memory().bytes(written, 4);
      let done = 0;
      for (const { at, sizeBytes } of given) {
        write(kind, memory().bytes(at, sizeBytes));
        done += sizeBytes;
      }
      memory().set32(written, done >>> 0);
      return errno.success;
    },
    path_create_directory: readOnlyPath,
    path_remove_directory: readOnlyPath,
    path_unlink_file: readOnlyPath,
    path_filestat_get: (fd: number, _flags: number, path: Pointer, sizeBytes: number, pointer: Pointer) =>
      setStatusOf(pointer, find(resolve(of(fd), path, sizeBytes))),
    path_filestat_set_times: (fd: number, _flags: number, path: Pointer, sizeBytes: number) =>
      readOnlyPath(fd, path, sizeBytes),
    path_link: (
      _from: number,
      _flags: number,
      _path: Pointer,
      _bytes: number,
      fd: number,
      to: Pointer,
      bytes: number,
    ) => readOnlyPath(fd, to, bytes),
    path_rename: (_from: number, _path: Pointer, _bytes: number, fd: number, to: Pointer, bytes: number) =>
      readOnlyPath(fd, to, bytes),
    path_symlink: (_path: Pointer, _bytes: number, fd: number, to: Pointer, bytes: number) =>
      readOnlyPath(fd, to, bytes),
    path_readlink: (fd: number, path: Pointer, sizeBytes: number) => {
      find(resolve(of(fd), path, sizeBytes));
      return errno.inval; // there are no links
    },
    path_open: (
      fd: number,
      _lookup: number,
      path: Pointer,
      sizeBytes: number,
      how: number,
      own: bigint,
      inheriting: bigint,
      flags: number,
      opened: Pointer,
    ) => {
      const folder = of(fd);
      const resolved = resolve(folder, path, sizeBytes);
      if ((folder.rights & rights.pathOpen) === 0) return errno.notcapable;
      if (flags >>> 0 > flagsMost || how >>> 0 > 0xf) return errno.inval;
      const wanted = rightsOf(own);
      const exists = tree.get(resolved);
      if (exists !== undefined && (how & openFlags.create) !== 0 && (how & openFlags.exclusive) !== 0)
        return errno.exist;
      if (exists === undefined && (how & openFlags.create) !== 0) return errno.rofs;
      const node = find(resolved);
      if (node.kind === 'file') {
        if ((how & openFlags.directory) !== 0) return errno.notdir;
        if ((how & openFlags.truncate) !== 0 || (wanted & rights.fdWrite) !== 0) return errno.rofs;
      }
      memory().bytes(opened, 4);
      const number = freeNumber(state.descriptors);
      const most = node.kind === 'file' ? fileRights : directoryRights;
      state.descriptors[number] = {
        kind: node.kind,
        path: resolved,
        offset: 0,
        flags,
        rights: wanted & most & folder.inheriting,
        inheriting: node.kind === 'file' ? 0 : rightsOf(inheriting) & folder.inheriting,
      };
      memory().set32(opened, number);
      return errno.success;
    },
  };
}

function fail(code: WasiError['errno']): never {
  throw new WasiError(code);
}

/** Rights that WASI does not know are not had. */
function rightsOf(value: bigint): number {
  return Number(BigInt.asUintN(64, value) & rightsMost);
}

function offsetOf(value: bigint): number {
  // Beyond what a number holds exactly there is no file.
  return Number(BigInt.asUintN(64, value));
}

function freeNumber(descriptors: WasiState['descriptors']): number {
  const free = descriptors.indexOf(null);
  const number = free < 0 ? descriptors.length : free;
  return number < limits.wasmOpenFiles ? number : fail(errno.mfile);
}

function direntOf(name: string, node: TreeNode, next: number): Uint8Array {
  const text = Buffer.from(name);
  const entry = Buffer.alloc(direntBytes + text.length);
  entry.writeBigUInt64LE(BigInt(next), 0);
  entry.writeBigUInt64LE(BigInt(node.number), 8);
  entry.writeUInt32LE(text.length, 16);
  entry[20] = node.kind === 'file' ? fileType.regular : fileType.directory;
  text.copy(entry, direntBytes);
  return entry;
}
