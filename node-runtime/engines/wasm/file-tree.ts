/** Bytes in several places that read as one file. They are shared and never written. */
export class FileContent {
  readonly sizeBytes: number;
  readonly #segments: readonly Uint8Array[];
  /** Where each segment begins. */
  readonly #starts: readonly number[];

  constructor(segments: readonly Uint8Array[]) {
    const starts: number[] = [];
    let sizeBytes = 0;
    for (const segment of segments) {
      starts.push(sizeBytes);
      sizeBytes += segment.length;
    }
    this.#segments = segments;
    this.#starts = starts;
    this.sizeBytes = sizeBytes;
  }

  /** Fills `target` from `offset` on; gives how many bytes there were. */
  read(offset: number, target: Uint8Array): number {
    let done = 0;
    if (offset >= this.sizeBytes) return done;
    for (let index = this.#segmentAt(offset); index < this.#segments.length && done < target.length; index += 1) {
      const segment = this.#segments[index]!;
      const from = offset + done - this.#starts[index]!;
      const piece = segment.subarray(from, from + target.length - done);
      target.set(piece, done);
      done += piece.length;
    }
    return done;
  }

  /** The last segment that begins at or before `offset`. */
  #segmentAt(offset: number): number {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

export type TreeNode =
  | { readonly kind: 'directory'; readonly number: number; readonly names: string[] }
  | { readonly kind: 'file'; readonly number: number; readonly content: FileContent };

/** The read-only files that a task sees, by path from the root: "model.bin", "parts/0". The root is "". */
export class FileTree {
  readonly #nodes = new Map<string, TreeNode>();

  constructor(files: Iterable<readonly [path: string, content: FileContent]>) {
    this.#nodes.set('', { kind: 'directory', number: 1, names: [] });
    for (const [path, content] of files) {
      this.#addTo(path);
      this.#nodes.set(path, { kind: 'file', number: this.#nodes.size + 1, content });
    }
    for (const node of this.#nodes.values()) if (node.kind === 'directory') node.names.sort();
  }

  get(path: string): TreeNode | undefined {
    return this.#nodes.get(path);
  }

  /** Makes the folders above a path and names it in its own. */
  #addTo(path: string): void {
    const cut = path.lastIndexOf('/');
    const parent = cut < 0 ? '' : path.slice(0, cut);
    if (!this.#nodes.has(parent)) {
      this.#addTo(parent);
      this.#nodes.set(parent, { kind: 'directory', number: this.#nodes.size + 1, names: [] });
    }
    const node = this.#nodes.get(parent)!;
    if (node.kind === 'directory') node.names.push(path.slice(cut + 1));
  }
}
