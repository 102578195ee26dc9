import type { TaskGraph } from '../graph/task-graph.ts';

/** Tasks whose predecessors are all planned, highest priority first; ties go to the lower number (a binary heap). */
export class ReadyQueue {
  private readonly graph: TaskGraph;
  private readonly missing: Int32Array;
  private readonly heap: Int32Array;
  private count = 0;
  private priorities: Float64Array = new Float64Array(0);

  constructor(graph: TaskGraph) {
    this.graph = graph;
    this.missing = new Int32Array(graph.size);
    this.heap = new Int32Array(graph.size);
  }

  /** Begins anew, with these priorities. */
  start(priorities: Float64Array): void {
    const { size, predecessorOffsets } = this.graph;
    this.priorities = priorities;
    this.count = 0;
    for (let task = 0; task < size; task += 1) {
      this.missing[task] = predecessorOffsets[task + 1]! - predecessorOffsets[task]!;
      if (this.missing[task] === 0) this.push(task);
    }
  }

  /** The next task, or -1; those that waited for it alone become ready. */
  next(): number {
    if (this.count === 0) return -1;
    const task = this.pop();
    const { successorOffsets, successors } = this.graph;
    for (let edge = successorOffsets[task]!; edge < successorOffsets[task + 1]!; edge += 1) {
      const successor = successors[edge]!;
      this.missing[successor]! -= 1;
      if (this.missing[successor] === 0) this.push(successor);
    }
    return task;
  }

  private isBefore(one: number, other: number): boolean {
    const difference = this.priorities[one]! - this.priorities[other]!;
    return difference > 0 || (difference === 0 && one < other);
  }

  private push(task: number): void {
    const { heap } = this;
    let at = this.count;
    this.count += 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.isBefore(task, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = task;
  }

  private pop(): number {
    const { heap } = this;
    const first = heap[0]!;
    this.count -= 1;
    const moved = heap[this.count]!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.count) break;
      if (child + 1 < this.count && this.isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!this.isBefore(heap[child]!, moved)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = moved;
    return first;
  }
}
