import { limits, type MeshEvent, type NodeStatus, type Problem } from '../contract/index.ts';

/**
 * Notices that another machine runs under this node's identity: a disk was copied. Each boot names, in its status, the
 * other boots it sees under its id (`rivals`). A boot that names this one has read something of it, so both live: what a
 * dead boot left behind, however late and often it comes, never does. Both then compare the same two numbers, how long
 * each had been up when it first saw the other, and exactly one gives way.
 */
export interface CloneWatch {
  readonly node: string;
  readonly bootId: string;
  /** By boot, in the order in which they were seen. For the `rivals` of the own status. */
  readonly rivals: Map<string, Rival>;
}

interface Rival {
  /** How long this boot had been up when it first saw the other. */
  readonly uptimeMs: number;
  reported: boolean;
}

export type CloneEffect =
  /** Publish the own status anew: it names the rivals. */
  | { readonly type: 'announce' }
  | { readonly type: 'event'; readonly event: Omit<MeshEvent, 'v' | 'source'> }
  /** This one is to end: the other goes on. */
  | { readonly type: 'yield'; readonly problem: Problem };

export function createCloneWatch(node: string, bootId: string): CloneWatch {
  return { node, bootId, rivals: new Map() };
}

/** What the own status says. */
export function rivalsOf({ rivals }: CloneWatch): NonNullable<NodeStatus['rivals']> {
  return [...rivals].map(([bootId, { uptimeMs }]) => ({ bootId, uptimeMs }));
}

/** A status under the own id, by the own key. `uptimeMs`: how long this boot has been up. */
export function watchStatus(watch: CloneWatch, status: NodeStatus, uptimeMs: number): CloneEffect[] {
  if (status.node !== watch.node || status.bootId === watch.bootId) return [];
  // The end of another boot, perhaps a will that came late: it must not be what the topic retains.
  if (!status.online) return [{ type: 'announce' }];
  const rival = rivalOf(watch, status.bootId, uptimeMs);
  const named = status.rivals?.find(({ bootId }) => bootId === watch.bootId);
  // Perhaps it has not heard of this boot; if it lives it will name it.
  if (named === undefined) return [{ type: 'announce' }];
  if (givesWay(watch.bootId, rival.uptimeMs, status.bootId, named.uptimeMs)) {
    // With the last word the other one learns of it too.
    return [{ type: 'announce' }, { type: 'yield', problem: clonedProblem(watch.node) }];
  }
  // It gives way once it hears that it was seen.
  if (rival.reported) return [{ type: 'announce' }];
  rival.reported = true;
  const text = `another machine runs under the identity of ${watch.node}, and is told to end: was a disk copied?`;
  return [{ type: 'announce' }, { type: 'event', event: { kind: 'identity-cloned', severity: 'error', text } }];
}

function rivalOf({ rivals }: CloneWatch, bootId: string, uptimeMs: number): Rival {
  const known = rivals.get(bootId);
  if (known !== undefined) return known;
  const rival = { uptimeMs: Math.floor(uptimeMs), reported: false };
  rivals.set(bootId, rival);
  if (rivals.size > limits.rivalsPerNode) rivals.delete(rivals.keys().next().value!);
  return rival;
}

/** The younger one; of two of the same age the one with the larger id. Both sides come to the same. */
function givesWay(ownBoot: string, ownMs: number, otherBoot: string, otherMs: number): boolean {
  return ownMs === otherMs ? ownBoot > otherBoot : ownMs < otherMs;
}

function clonedProblem(node: string): Problem {
  return {
    code: 'MESH_IDENTITY_CLONED',
    message: `another machine runs under the identity of ${node}`,
    mend: 'was its disk copied? Give this one its own: remove node.json and node.key',
  };
}
