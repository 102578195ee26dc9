import { limits, MeshError } from '../contract/index.ts';

/** Memory for what arrives in pieces and can be verified only when all of it is there: whole blobs and manifests. */
export class Staging {
  private readonly assemblies = new Map<string, Assembly>();
  private readonly mostBytes: number;
  private bytes = 0;

  constructor(mostBytes: number) {
    this.mostBytes = mostBytes;
  }

  /** Adds a piece. Returns all bytes when this was the last one that was missing. */
  add(key: string, totalBytes: number, offset: number, bytes: Uint8Array): Uint8Array | undefined {
    const piece = offset / limits.blobChunkBytes;
    const expected = Math.min(limits.blobChunkBytes, totalBytes - offset);
    if (!Number.isInteger(piece) || expected < 0 || bytes.length !== expected) {
      throw new MeshError('MESH_MESSAGE_MALFORMED', `${bytes.length} bytes at ${offset} are no piece of ${totalBytes}`);
    }
    let assembly = this.assemblies.get(key);
    if (assembly === undefined) {
      assembly = { bytes: Buffer.allocUnsafeSlow(totalBytes), pieces: new Set() };
      this.bytes += totalBytes;
    } else this.assemblies.delete(key);
    this.assemblies.set(key, assembly);
    assembly.bytes.set(bytes, offset);
    assembly.pieces.add(piece);
    this.shrink(key);
    return this.get(key);
  }

  /** All bytes, when they are all there. */
  get(key: string): Uint8Array | undefined {
    const assembly = this.assemblies.get(key);
    if (assembly === undefined) return undefined;
    const complete = assembly.pieces.size === Math.ceil(assembly.bytes.length / limits.blobChunkBytes);
    return complete ? assembly.bytes : undefined;
  }

  has(key: string, piece: number): boolean {
    return this.assemblies.get(key)?.pieces.has(piece) ?? false;
  }

  remove(key: string): void {
    const assembly = this.assemblies.get(key);
    if (assembly === undefined) return;
    this.assemblies.delete(key);
    this.bytes -= assembly.bytes.length;
  }

  /** The oldest go first; whoever sent them begins again. */
  private shrink(keep: string): void {
    for (const key of this.assemblies.keys()) {
      if (this.bytes <= this.mostBytes) return;
      if (key !== keep) this.remove(key);
    }
  }
}

interface Assembly {
  readonly bytes: Buffer;
  readonly pieces: Set<number>;
}
