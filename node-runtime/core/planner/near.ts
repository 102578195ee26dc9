import { limits, type Output, type TaskInput } from '../../contract/index.ts';
import type { NodeView, PlannerState } from './state.ts';

/** Inputs of a task that are looked up one by one; of more, each from another node, few would be near. */
const lookedUpMost = 256;

/** A blob is on a node: it was made there, or is fetched for what is assigned there. The oldest are forgotten, as caches do. */
export function noteNear({ nearBlobs }: NodeView, ...blobs: readonly string[]): void {
  for (const blob of blobs) {
    nearBlobs.delete(blob);
    nearBlobs.add(blob);
  }
  for (const oldest of nearBlobs) {
    if (nearBlobs.size <= limits.nearBlobsPerNode) return;
    nearBlobs.delete(oldest);
  }
}

/** What a task has to have on the node, by blob; what stands in the assignment itself does not count. */
export interface NeededBlobs {
  readonly blobs: ReadonlyMap<string, number>;
  readonly totalBytes: number;
}

export function neededBlobs(input: TaskInput): NeededBlobs {
  const blobs = new Map<string, number>();
  const add = (output: Output) => {
    if ('blob' in output) blobs.set(output.blob, output.sizeBytes);
  };
  if (input.kind === 'records') blobs.set(input.source.blob, input.end - input.start);
  else if (input.kind === 'whole') blobs.set(input.source.blob, input.source.sizeBytes);
  else if (input.kind === 'parts') for (const part of input.parts) add(part);
  else if (input.kind === 'outputs')
    for (const output of Object.values(input.needs)) for (const each of [output].flat()) add(each);
  let totalBytes = 0;
  for (const bytes of blobs.values()) totalBytes += bytes;
  return { blobs, totalBytes };
}

/** How much of that is near a node: a holder has it all. */
export function nearBytes(state: PlannerState, node: NodeView, { blobs, totalBytes }: NeededBlobs): number {
  if (state.holders.includes(node.status.node)) return totalBytes;
  if (blobs.size > lookedUpMost) return 0;
  let near = 0;
  for (const [blob, bytes] of blobs) if (node.nearBlobs.has(blob)) near += bytes;
  return near;
}

/** Blobs that a node has whole once it has run a task with that input: of records it reads a range only. */
export function fetchedWhole(input: TaskInput): string[] {
  return input.kind === 'records' ? [] : [...neededBlobs(input).blobs.keys()];
}

/**
 * What the link of a node carries, bytes per second: nobody measures that for its own sake, but it is no less than what was
 * seen to arrive there.
 */
export function linkBytesPerSecond({ receivedBytesPerSecondMost }: NodeView): number {
  return Math.max(linkBytesPerSecondDefault, receivedBytesPerSecondMost);
}

/** A modest Wi-Fi: about 40 Mbit/s. */
const linkBytesPerSecondDefault = 5e6;
