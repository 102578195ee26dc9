const headerBytes = 8;
const importSection = 2;
const memoryImport = 2;

/**
 * The same module with another initial size of the one memory that it imports, in pages of 64 KiB. Nothing moves: the number
 * takes as many bytes as the one before, padded as LEB128 allows. Throws when the module is not of that kind.
 */
export function withInitialPages(wasm: Uint8Array, pages: number): Uint8Array {
  const reader = new Reader(wasm, headerBytes);
  while (reader.at < wasm.length) {
    const section = reader.byte();
    const sizeBytes = reader.number();
    if (section !== importSection) {
      reader.skip(sizeBytes);
      continue;
    }
    for (let count = reader.number(); count > 0; count -= 1) {
      reader.skip(reader.number());
      reader.skip(reader.number());
      if (reader.byte() !== memoryImport) {
        reader.number(); // of a function: its type
        continue;
      }
      reader.byte(); // whether there is a maximum
      const from = reader.at;
      reader.number();
      return withNumber(wasm, from, reader.at, pages);
    }
  }
  throw new Error('the module imports no memory');
}

function withNumber(wasm: Uint8Array, from: number, end: number, value: number): Uint8Array {
  const changed = new Uint8Array(wasm);
  let rest = value;
  for (let at = from; at < end; at += 1) {
    changed[at] = (rest & 0x7f) | (at < end - 1 ? 0x80 : 0);
    rest >>= 7;
  }
  if (rest > 0) throw new Error(`${value} takes more than ${end - from} bytes`);
  return changed;
}

class Reader {
  at: number;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  skip(bytes: number): void {
    this.at += bytes;
  }

  byte(): number {
    const byte = this.#bytes[this.at];
    if (byte === undefined) throw new Error('the module ends too early');
    this.at += 1;
    return byte;
  }

  /** Unsigned LEB128. */
  number(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }
}
