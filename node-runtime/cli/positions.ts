import { isMap, isNode, isPair, isSeq, type LineCounter, type Node, type Pair, type ParsedNode } from 'yaml';

/** Where things stand in a YAML or JSON text: `file:line:column`, both from 1. */
export class Positions {
  readonly #file: string;
  readonly #root: ParsedNode | null;
  readonly #lines: LineCounter;

  constructor(file: string, root: ParsedNode | null, lines: LineCounter) {
    this.#file = file;
    this.#root = root;
    this.#lines = lines;
  }

  atOffset(offset: number): string {
    const { line, col } = this.#lines.linePos(offset);
    return `${this.#file}:${Math.max(1, line)}:${Math.max(1, col)}`;
  }

  /** Of a value, or of the key it stands under; of the nearest thing around it when it is not there. */
  at(path: readonly PropertyKey[], which: 'key' | 'value' = 'value'): string {
    let node: Node | null = this.#root;
    let offset = node?.range?.[0] ?? 0;
    for (const [index, key] of path.entries()) {
      const entry = entryOf(node, key);
      if (entry === undefined) break;
      const keyOffset = startOf(entry.key);
      const valueOffset = startOf(entry.value);
      const wantsKey = which === 'key' && index === path.length - 1;
      offset = (wantsKey ? (keyOffset ?? valueOffset) : (valueOffset ?? keyOffset)) ?? offset;
      node = isNode(entry.value) ? entry.value : null;
    }
    return this.atOffset(offset);
  }
}

function entryOf(node: Node | null, key: PropertyKey): Pick<Pair, 'key' | 'value'> | undefined {
  if (isSeq(node))
    return typeof key === 'number' && node.items[key] !== undefined ? { key: null, value: node.items[key] } : undefined;
  if (!isMap(node)) return undefined;
  return node.items.find(
    (item) => isPair(item) && String(isNode(item.key) ? item.key.toJSON() : item.key) === String(key),
  );
}

/** An empty value (`input:` and nothing more) has a place behind its key; the key says more. */
function startOf(node: unknown): number | undefined {
  if (!isNode(node) || node.range === undefined || node.range === null) return undefined;
  const [start, end] = node.range;
  return start === end ? undefined : start;
}
