const space = new Set([0x20, 0x09, 0x0a, 0x0d]);
const quote = 0x22;
const backslash = 0x5c;
const words = ['true', 'false', 'null'].map((word) => Buffer.from(word));
const numberPattern = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const numberBytes = new Set(Buffer.from('+-.0123456789eE'));
const numberBytesMost = 400;
const escapes = new Set(Buffer.from('"\\/bfnrtu'));
const hex = /^[0-9a-fA-F]{4}$/;

/**
 * Whether bytes (valid UTF-8) are one JSON document with at most so many levels. Nothing is built of it: what a task writes may be far larger,
 * parsed, than the process that it runs in.
 */
export function isJson(bytes: Uint8Array, levelsMost: number): boolean {
  return new JsonCheck(bytes, levelsMost).isDocument();
}

class JsonCheck {
  readonly #bytes: Buffer;
  readonly #levelsMost: number;
  #at = 0;

  constructor(bytes: Uint8Array, levelsMost: number) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#levelsMost = levelsMost;
  }

  isDocument(): boolean {
    if (!this.#value(this.#levelsMost)) return false;
    this.#skipSpace();
    return this.#at === this.#bytes.length;
  }

  #value(levels: number): boolean {
    this.#skipSpace();
    const byte = this.#bytes[this.#at];
    if (byte === quote) return this.#string();
    if (byte === 0x7b) return this.#list(levels, 0x7d, true);
    if (byte === 0x5b) return this.#list(levels, 0x5d, false);
    return words.some((word) => this.#word(word)) || this.#number();
  }

  #list(levels: number, close: number, isObject: boolean): boolean {
    if (levels <= 0) return false;
    this.#at += 1;
    this.#skipSpace();
    if (this.#take(close)) return true;
    for (;;) {
      if (isObject) {
        this.#skipSpace();
        if (!this.#string()) return false;
        this.#skipSpace();
        if (!this.#take(0x3a)) return false;
      }
      if (!this.#value(levels - 1)) return false;
      this.#skipSpace();
      if (this.#take(close)) return true;
      if (!this.#take(0x2c)) return false;
    }
  }

  #string(): boolean {
    if (!this.#take(quote)) return false;
    for (;;) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined || byte < 0x20) return false;
      if (byte === quote) return true;
      if (byte !== backslash) continue;
      const letter = this.#bytes[this.#at++];
      if (letter === undefined || !escapes.has(letter)) return false;
      if (letter !== 0x75) continue;
      if (!hex.test(this.#bytes.toString('latin1', this.#at, this.#at + 4))) return false;
      this.#at += 4;
    }
  }

  #number(): boolean {
    const from = this.#at;
    while (numberBytes.has(this.#bytes[this.#at]!)) this.#at += 1;
    const sizeBytes = this.#at - from;
    return sizeBytes <= numberBytesMost && numberPattern.test(this.#bytes.toString('latin1', from, this.#at));
  }

  #word(word: Buffer): boolean {
    if (!this.#bytes.subarray(this.#at, this.#at + word.length).equals(word)) return false;
    this.#at += word.length;
    return true;
  }

  #take(byte: number): boolean {
    if (this.#bytes[this.#at] !== byte) return false;
    this.#at += 1;
    return true;
  }

  #skipSpace(): void {
    while (space.has(this.#bytes[this.#at]!)) this.#at += 1;
  }
}
