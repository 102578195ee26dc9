import type { NodeMetrics, OfferChange } from '../../../contract/index.ts';
import type { NodeView } from '../state.ts';

/** What a node has said that it will offer, dated by the leader's clock. */
export interface OffersAhead {
  readonly bootId: string;
  readonly seq: number;
  /** In their order in time. */
  readonly changes: readonly (Omit<OfferChange, 'afterMs'> & { readonly atMs: number })[];
}

/** The newest batch says all that is known. */
export function hearAhead(node: NodeView, { bootId, seq, ahead = [] }: NodeMetrics, nowMs: number): void {
  const { offersAhead: known } = node;
  if (known?.bootId === bootId && seq <= known.seq) return;
  const changes = ahead.map(({ afterMs, ...change }) => ({ ...change, atMs: nowMs + afterMs }));
  node.offersAhead = { bootId, seq, changes };
}

/** A new status says what is now: only what is still to come changes it. */
export function forgetPast(node: NodeView, nowMs: number): void {
  const { offersAhead: known, status } = node;
  if (known === undefined) return;
  if (known.bootId !== status.bootId) delete node.offersAhead;
  else node.offersAhead = { ...known, changes: known.changes.filter(({ atMs }) => atMs > nowMs) };
}

/** The fewest slots that it offers at any moment of this time. */
export function slotsWithin({ status, offersAhead }: NodeView, fromMs: number, untilMs: number): number {
  let { slots } = status;
  let fewest = Number.POSITIVE_INFINITY;
  for (const change of offersAhead?.changes ?? []) {
    if (change.atMs <= fromMs) slots = change.slots;
    else if (change.atMs < untilMs) fewest = Math.min(fewest, change.slots);
  }
  return Math.min(slots, fewest);
}

/** The most slots that it offers now or later. */
export function slotsMost({ status, offersAhead }: NodeView): number {
  return Math.max(status.slots, ...(offersAhead?.changes ?? []).map(({ slots }) => slots));
}

/** When it gives back what it runs: with its hours all ends, while a used up budget lets what runs be finished. */
export function givenBackMs({ offersAhead }: NodeView): number {
  const isEnd = ({ withheld }: OfferChange | OffersAhead['changes'][number]) => withheld?.reason === 'hours';
  return offersAhead?.changes.find(isEnd)?.atMs ?? Number.POSITIVE_INFINITY;
}
