/** Reads the binary format of WebAssembly. What is not there, or not well formed, throws `BinaryError`. */
export class BinaryReader {
  at: number;
  readonly end: number;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, at = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.at = at;
    this.end = end;
  }

  get isAtEnd(): boolean {
    return this.at >= this.end;
  }

  byte(): number {
    if (this.at >= this.end) throw new BinaryError('it ends too early');
    return this.#bytes[this.at++]!;
  }

  skip(bytes: number): void {
    if (bytes > this.end - this.at) throw new BinaryError('it ends too early');
    this.at += bytes;
  }

  /** Unsigned LEB128, 32 bits. */
  unsigned(): number {
    let value = 0;
    for (let index = 0; index < 5; index += 1) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** (7 * index);
      if (byte < 0x80) {
        if (value > 0xffff_ffff) break;
        return value;
      }
    }
    throw new BinaryError('a number is too large');
  }

  /** Signed LEB128 of up to so many bytes. */
  skipSigned(bytesMost: number): void {
    for (let index = 0; index < bytesMost; index += 1) if (this.byte() < 0x80) return;
    throw new BinaryError('a number is too large');
  }

  name(): string {
    const sizeBytes = this.unsigned();
    const from = this.at;
    this.skip(sizeBytes);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.#bytes.subarray(from, this.at));
    } catch {
      throw new BinaryError('a name is no UTF-8');
    }
  }

  slice(from: number, end: number): Uint8Array {
    return this.#bytes.subarray(from, end);
  }
}

export class BinaryError extends Error {
  override readonly name = 'BinaryError';
}

export function unsignedLeb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return bytes;
}

/** Gathers pieces of a new module. */
export class BinaryWriter {
  readonly #parts: Uint8Array[] = [];
  sizeBytes = 0;

  add(part: Uint8Array | readonly number[]): void {
    const bytes = part instanceof Uint8Array ? part : Uint8Array.from(part);
    if (bytes.length === 0) return;
    this.#parts.push(bytes);
    this.sizeBytes += bytes.length;
  }

  unsigned(value: number): void {
    this.add(unsignedLeb(value));
  }

  /** What another has gathered, with its size before it. */
  addSized(other: BinaryWriter): void {
    this.unsigned(other.sizeBytes);
    this.addAll(other);
  }

  addAll(other: BinaryWriter): void {
    for (const part of other.#parts) this.#parts.push(part);
    this.sizeBytes += other.sizeBytes;
  }

  bytes(): Uint8Array {
    const bytes = new Uint8Array(this.sizeBytes);
    let at = 0;
    for (const part of this.#parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }
}
