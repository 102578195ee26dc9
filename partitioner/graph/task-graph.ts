/** Data that goes from one task to another. */
export interface GraphEdge {
  readonly from: string;
  readonly to: string;
  /** Bytes that `to` reads of what `from` has made; 0: it only waits. */
  readonly sizeBytes: number;
}

/**
 * A directed acyclic graph of tasks by numbers, so that a scheduler need not look anything up: edges stand by the task
 * they belong to (compressed rows): those of task `t` at `offsets[t]` up to `offsets[t + 1]`.
 */
export interface TaskGraph {
  readonly ids: readonly string[];
  readonly size: number;
  readonly predecessorOffsets: Int32Array;
  readonly predecessors: Int32Array;
  readonly predecessorBytes: Float64Array;
  readonly successorOffsets: Int32Array;
  readonly successors: Int32Array;
  readonly successorBytes: Float64Array;
  /** Every task after all that it needs. */
  readonly order: Int32Array;
}

/** What is wrong with a graph, in words that name the tasks. */
export class GraphError extends Error {
  override readonly name = 'GraphError';
}

/**
 * Builds a graph. Several edges between the same two tasks become one that carries all their bytes.
 *
 * @throws GraphError for an id that stands twice, an edge to or from a task that is not there, a size that is no number
 *   of bytes, and a cycle (naming the tasks on it)
 */
export function buildTaskGraph(ids: readonly string[], edges: readonly GraphEdge[]): TaskGraph {
  const numbers = new Map<string, number>();
  for (const [number, id] of ids.entries()) {
    if (numbers.has(id)) throw new GraphError(`there are two tasks "${id}"`);
    numbers.set(id, number);
  }
  const numberOf = (id: string, { from, to }: GraphEdge) => {
    const number = numbers.get(id);
    if (number === undefined) throw new GraphError(`"${to}" needs "${from}", but there is no task "${id}"`);
    return number;
  };
  const merged = new Map<number, number>();
  for (const edge of edges) {
    if (!(edge.sizeBytes >= 0 && edge.sizeBytes < Number.POSITIVE_INFINITY))
      throw new GraphError(`"${edge.from}" cannot give ${edge.sizeBytes} bytes to "${edge.to}"`);
    const key = numberOf(edge.from, edge) * ids.length + numberOf(edge.to, edge);
    merged.set(key, (merged.get(key) ?? 0) + edge.sizeBytes);
  }
  const triples = [...merged].map(([key, sizeBytes]) => ({
    from: Math.floor(key / ids.length),
    to: key % ids.length,
    sizeBytes,
  }));
  const into = rows(ids.length, triples, 'to', 'from');
  const out = rows(ids.length, triples, 'from', 'to');
  const graph = {
    ids,
    size: ids.length,
    predecessorOffsets: into.offsets,
    predecessors: into.others,
    predecessorBytes: into.bytes,
    successorOffsets: out.offsets,
    successors: out.others,
    successorBytes: out.bytes,
  };
  return { ...graph, order: topologicalOrder(graph) };
}

function rows<Key extends 'from' | 'to'>(
  size: number,
  triples: readonly { readonly from: number; readonly to: number; readonly sizeBytes: number }[],
  by: Key,
  other: Key extends 'from' ? 'to' : 'from',
) {
  const offsets = new Int32Array(size + 1);
  for (const triple of triples) offsets[triple[by] + 1]! += 1;
  for (let task = 0; task < size; task += 1) offsets[task + 1]! += offsets[task]!;
  const next = offsets.slice();
  const others = new Int32Array(triples.length);
  const bytes = new Float64Array(triples.length);
  for (const triple of triples) {
    const at = next[triple[by]]!;
    next[triple[by]] = at + 1;
    others[at] = triple[other as 'from' | 'to'];
    bytes[at] = triple.sizeBytes;
  }
  return { offsets, others, bytes };
}

/** Kahn's algorithm (1962), in the order given where the graph leaves a choice. */
function topologicalOrder(graph: Omit<TaskGraph, 'order'>): Int32Array {
  const { size, predecessorOffsets, successorOffsets, successors } = graph;
  const missing = new Int32Array(size);
  const order = new Int32Array(size);
  let known = 0;
  for (let task = 0; task < size; task += 1) {
    missing[task] = predecessorOffsets[task + 1]! - predecessorOffsets[task]!;
    if (missing[task] === 0) order[known++] = task;
  }
  for (let at = 0; at < known; at += 1) {
    const task = order[at]!;
    for (let edge = successorOffsets[task]!; edge < successorOffsets[task + 1]!; edge += 1) {
      const successor = successors[edge]!;
      missing[successor]! -= 1;
      if (missing[successor] === 0) order[known++] = successor;
    }
  }
  if (known < size) throw new GraphError(`these tasks need each other in a circle: ${circleOf(graph, missing)}`);
  return order;
}

/** Walks back from a task that waits for ever, until it comes to one that it has seen. */
function circleOf({ ids, predecessorOffsets, predecessors }: Omit<TaskGraph, 'order'>, missing: Int32Array): string {
  const walked: number[] = [];
  let task = missing.findIndex((count) => count > 0);
  while (!walked.includes(task)) {
    walked.push(task);
    const needs = predecessors.subarray(predecessorOffsets[task], predecessorOffsets[task + 1]);
    task = needs.find((each) => missing[each]! > 0)!;
  }
  const circle = walked.slice(walked.indexOf(task)).reverse();
  return [...circle, circle[0]!].map((each) => `"${ids[each]!}"`).join(' -> ');
}
