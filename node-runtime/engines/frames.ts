/**
 * The pipe between the pool and a sandbox process carries frames: the length of the rest and of the head (two uint32,
 * little endian), a JSON head, then raw bytes. Neither side trusts the other's lengths.
 */
export interface Frame {
  readonly head: unknown;
  readonly body: Uint8Array;
}

const prefixBytes = 8;

export function encodeFrame(head: object, parts: readonly Uint8Array[] = []): Uint8Array[] {
  const headBytes = Buffer.from(JSON.stringify(head));
  let bodyBytes = 0;
  for (const part of parts) bodyBytes += part.length;
  const prefix = Buffer.allocUnsafe(prefixBytes + headBytes.length);
  prefix.writeUInt32LE(headBytes.length + bodyBytes, 0);
  prefix.writeUInt32LE(headBytes.length, 4);
  prefix.set(headBytes, prefixBytes);
  return [prefix, ...parts];
}

/** Cuts a stream into frames. Throws when a length is out of bounds or a head is not JSON; of no use afterwards. */
export class FrameReader {
  private readonly frameBytesMost: number;
  private readonly onFrame: (frame: Frame) => void;
  private readonly prefix = Buffer.allocUnsafe(prefixBytes);
  private prefixFilled = 0;
  private rest: Buffer | undefined;
  private restFilled = 0;

  constructor(frameBytesMost: number, onFrame: (frame: Frame) => void) {
    this.frameBytesMost = frameBytesMost;
    this.onFrame = onFrame;
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.rest === undefined) {
        const taken = Math.min(prefixBytes - this.prefixFilled, chunk.length - at);
        this.prefix.set(chunk.subarray(at, at + taken), this.prefixFilled);
        this.prefixFilled += taken;
        at += taken;
        if (this.prefixFilled < prefixBytes) return;
        const restBytes = this.prefix.readUInt32LE(0);
        const headBytes = this.prefix.readUInt32LE(4);
        if (headBytes > restBytes || restBytes > this.frameBytesMost) {
          throw new RangeError(`a frame of ${restBytes} bytes with a head of ${headBytes}`);
        }
        if (chunk.length - at >= restBytes) {
          this.finish(chunk.subarray(at, at + restBytes));
          at += restBytes;
          continue;
        }
        this.rest = Buffer.allocUnsafeSlow(restBytes);
        this.restFilled = 0;
      }
      const taken = Math.min(this.rest.length - this.restFilled, chunk.length - at);
      this.rest.set(chunk.subarray(at, at + taken), this.restFilled);
      this.restFilled += taken;
      at += taken;
      if (this.restFilled === this.rest.length) this.finish(this.rest);
    }
  }

  private finish(rest: Uint8Array): void {
    const headBytes = this.prefix.readUInt32LE(4);
    this.rest = undefined;
    this.prefixFilled = 0;
    const head = Buffer.from(rest.buffer, rest.byteOffset, headBytes).toString();
    // Not a Buffer: its slice() would not copy.
    const body = new Uint8Array(rest.buffer, rest.byteOffset + headBytes, rest.length - headBytes);
    this.onFrame({ head: JSON.parse(head), body });
  }
}
