import { type Errno, errno } from './wasi-names.ts';

/** A host call that ends with an errno. */
export class WasiError extends Error {
  readonly errno: Errno;

  constructor(code: Errno) {
    super(`errno ${code}`);
    this.errno = code;
  }
}

/** A piece of the guest's memory that the guest named: `iovec` and `ciovec`. */
export interface Piece {
  readonly at: number;
  readonly sizeBytes: number;
}

/** `IOV_MAX` of most systems: what one call may name, so that none takes long. */
const piecesMost = 1_024;
const pieceBytes = 8;

/**
 * The guest's memory as the host sees it: every address that the guest gives is checked first; what lies outside ends the call
 * with EFAULT before anything is read or written.
 */
export class GuestMemory {
  readonly #memory: WebAssembly.Memory;
  #view: DataView;
  #bytes: Uint8Array;

  constructor(memory: WebAssembly.Memory) {
    this.#memory = memory;
    this.#view = new DataView(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
  }

  get sizeBytes(): number {
    return this.#memory.buffer.byteLength;
  }

  /** Answers as `memory.grow` does: the pages before, or -1. */
  grow(pages: number): number {
    try {
      return this.#memory.grow(pages);
    } catch {
      return -1; // beyond its maximum, or this machine has no more: the guest is told
    }
  }

  /** A view of the guest's bytes: valid until the guest goes on. */
  bytes(pointer: number, sizeBytes: number): Uint8Array {
    const at = pointer >>> 0;
    this.#check(at, sizeBytes);
    return this.#bytes.subarray(at, at + sizeBytes);
  }

  /** UTF-8; EILSEQ where it is none. */
  text(pointer: number, sizeBytes: number): string {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.bytes(pointer, sizeBytes));
    } catch (error) {
      if (error instanceof WasiError) throw error;
      throw new WasiError(errno.ilseq);
    }
  }

  byte(pointer: number): number {
    return this.bytes(pointer, 1)[0]!;
  }

  number16(pointer: number): number {
    return this.#at(pointer, 2).getUint16(pointer >>> 0, true);
  }

  number32(pointer: number): number {
    return this.#at(pointer, 4).getUint32(pointer >>> 0, true);
  }

  number64(pointer: number): bigint {
    return this.#at(pointer, 8).getBigUint64(pointer >>> 0, true);
  }

  set32(pointer: number, value: number): void {
    this.#at(pointer, 4).setUint32(pointer >>> 0, value, true);
  }

  set64(pointer: number, value: bigint): void {
    this.#at(pointer, 8).setBigUint64(pointer >>> 0, value, true);
  }

  /** The pieces of a scattered read or write. All are checked before any is used. */
  pieces(pointer: number, count: number): Piece[] {
    const number = count >>> 0;
    if (number > piecesMost) throw new WasiError(errno.inval);
    const from = pointer >>> 0;
    this.#check(from, number * pieceBytes);
    const pieces: Piece[] = [];
    for (let at = from; at < from + number * pieceBytes; at += pieceBytes) {
      const piece = { at: this.number32(at), sizeBytes: this.number32(at + 4) };
      this.#check(piece.at, piece.sizeBytes);
      pieces.push(piece);
    }
    return pieces;
  }

  #at(pointer: number, sizeBytes: number): DataView {
    this.#check(pointer >>> 0, sizeBytes);
    return this.#view;
  }

  #check(at: number, sizeBytes: number): void {
    if (this.#memory.buffer !== this.#bytes.buffer) {
      // It grew: what was seen before is detached.
      this.#view = new DataView(this.#memory.buffer);
      this.#bytes = new Uint8Array(this.#memory.buffer);
    }
    if (at + sizeBytes > this.#bytes.length) throw new WasiError(errno.fault);
  }
}
