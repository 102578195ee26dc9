import type { Allocation, Assign } from '../contract/index.ts';

/** What an attempt may use now, bytes: what it was given since, or what it began with. */
export function memoryOf({
  assign,
  allocation,
}: {
  readonly assign: Assign;
  readonly allocation?: Allocation;
}): number {
  return allocation?.memoryBytes ?? assign.limits.memoryBytes;
}

/** The pool runs `slots` attempts at once: the largest that could meet must fit the offered memory. */
export function fits(
  memory: readonly number[],
  more: number,
  offer: { readonly slots: number; readonly memoryBytes: number },
): boolean {
  const largest = [...memory, more].sort((a, b) => b - a).slice(0, offer.slots);
  return largest.reduce((sum, each) => sum + each, 0) <= offer.memoryBytes;
}
