const firstBytes = 4_096;

/** Gathers what a task writes to standard output, in one piece, up to a limit. */
export class OutputBuffer {
  readonly #mostBytes: number;
  #bytes = new Uint8Array(0);
  sizeBytes = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** False when it would pass the limit: then nothing of it is kept. */
  add(piece: Uint8Array): boolean {
    const sizeBytes = this.sizeBytes + piece.length;
    if (sizeBytes > this.#mostBytes) return false;
    if (sizeBytes > this.#bytes.length) {
      const larger = new Uint8Array(Math.min(this.#mostBytes, Math.max(firstBytes, sizeBytes, this.#bytes.length * 2)));
      larger.set(this.#bytes.subarray(0, this.sizeBytes));
      this.#bytes = larger;
    }
    this.#bytes.set(piece, this.sizeBytes);
    this.sizeBytes = sizeBytes;
    return true;
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.sizeBytes);
  }
}
