import { checkLimit, MeshError } from './errors.ts';
import { limits } from './limits.ts';

const segmentPattern = /^[A-Za-z0-9_-]+$/;

/** Portable on every broker: no dots, no spaces, no wildcards. */
export function isIdentifier(text: string): boolean {
  return text.length <= limits.identifierCharacters && segmentPattern.test(text);
}

/**
 * An identifier without `--`: what an account asks of blob holders is asked under its name, `--` and something, which must
 * not be the name of a node.
 */
export function isNodeName(text: string): boolean {
  return isIdentifier(text) && !text.includes('--');
}

export function checkNodeName(text: string): void {
  checkIdentifier(text, 'node');
  if (isNodeName(text)) return;
  throw new MeshError('MESH_TOPIC_INVALID', `"${text}" cannot be the name of a node`, {
    mend: 'choose one without two dashes in a row',
  });
}

export function checkIdentifier(text: string, what: string): string {
  if (!isIdentifier(text)) {
    throw new MeshError(
      'MESH_TOPIC_INVALID',
      `${what} "${text.slice(0, 2 * limits.identifierCharacters)}" is not an identifier`,
      {
        mend: `use 1 to ${limits.identifierCharacters} of A-Z a-z 0-9 _ -`,
      },
    );
  }
  return text;
}

/**
 * The topics of one mesh: `foremesh/v1/<mesh>/...`. Builders check every segment; `parse` is their inverse and returns
 * undefined for what is not ours.
 */
export class Topics {
  readonly prefix: string;

  constructor(mesh: string) {
    this.prefix = `foremesh/v1/${checkIdentifier(mesh, 'mesh')}/`;
  }

  private build(...segments: string[]): string {
    for (const segment of segments) if (segment !== '+') checkIdentifier(segment, 'topic segment');
    const topic = this.prefix + segments.join('/');
    // Whoever is asked must be able to answer: all topics of a family are as long as the longest may be.
    const longest = longestOfFamily(topic, segments);
    checkLimit('topicBytes', longest, limits.topicBytes, topic);
    return topic;
  }

  nodeStatus(node: string): string {
    return this.build('nodes', node, 'status');
  }
  nodeMetrics(node: string): string {
    return this.build('nodes', node, 'metrics');
  }
  nodeInbox(node: string): string {
    return this.build('nodes', node, 'inbox');
  }
  nodeOutbox(node: string): string {
    return this.build('nodes', node, 'outbox');
  }
  leader(): string {
    return this.build('leader');
  }
  events(): string {
    return this.build('events');
  }
  forecast(node: string): string {
    return this.build('forecast', node);
  }
  jobSpec(account: string, job: string): string {
    return this.build('jobs', account, job, 'spec');
  }
  jobState(account: string, job: string): string {
    return this.build('jobs', account, job, 'state');
  }
  jobResult(account: string, job: string): string {
    return this.build('jobs', account, job, 'result');
  }
  jobCancel(account: string, job: string): string {
    return this.build('jobs', account, job, 'cancel');
  }
  /** Log lines of running tasks, node -> client, QoS 0. */
  jobLogs(account: string, job: string): string {
    return this.build('jobs', account, job, 'logs');
  }
  queryAsk(account: string, client: string): string {
    return this.build('queries', account, client, 'ask');
  }
  /** What changes the mesh has a topic of its own, so that a broker can keep it from accounts that may only ask. */
  queryChange(account: string, client: string): string {
    return this.build('queries', account, client, 'change');
  }
  queryAnswer(account: string, client: string): string {
    return this.build('queries', account, client, 'answer');
  }
  blobAsk(holder: string, requester: string): string {
    return this.build('blobs', holder, requester, 'ask');
  }
  blobAnswer(holder: string, requester: string): string {
    return this.build('blobs', holder, requester, 'answer');
  }

  /** From voter to voter or learner. */
  raft(to: string, from: string): string {
    return this.build('raft', to, from);
  }

  parse(topic: string): ParsedTopic | undefined {
    if (!topic.startsWith(this.prefix)) return undefined;
    const segments = topic.slice(this.prefix.length).split('/');
    if (!segments.every(isIdentifier)) return undefined;
    const [root, first, second, third] = segments;
    const leaf = segments.at(-1)!;
    if (longestOfFamily(topic, segments) > limits.topicBytes) return undefined;
    if (segments.length === 1 && (root === 'leader' || root === 'events')) return { kind: root };
    if (segments.length === 2 && root === 'forecast') return { kind: 'forecast', node: first! };
    if (segments.length === 3 && root === 'raft') return { kind: 'raft', to: first!, from: second! };
    if (segments.length === 3 && root === 'nodes' && isOneOf(leaf, nodeLeaves)) return { kind: leaf, node: first! };
    if (segments.length !== 4 || third !== leaf) return undefined;
    if (root === 'jobs' && isOneOf(leaf, jobLeaves)) return { kind: leaf, account: first!, job: second! };
    if (root === 'queries' && isOneOf(leaf, queryLeaves)) {
      return { kind: queryKinds[leaf], account: first!, client: second! };
    }
    if (root === 'blobs' && (leaf === 'ask' || leaf === 'answer')) {
      return { kind: leaf === 'ask' ? 'blobAsk' : 'blobAnswer', holder: first!, requester: second! };
    }
    return undefined;
  }
}

const nodeLeaves = ['status', 'metrics', 'inbox', 'outbox'] as const;
const jobLeaves = ['spec', 'state', 'result', 'cancel', 'logs'] as const;
const queryKinds = { ask: 'queryAsk', change: 'queryChange', answer: 'queryAnswer' } as const;
const queryLeaves = ['ask', 'change', 'answer'] as const;

/**
 * A client's name in `blobs/<holder>/<requester>/...`. It begins with the account, so that a broker can tell whose it is;
 * `unique` has at most 14 characters.
 */
export function blobRequesterOf(account: string, unique: string): string {
  return `${account.slice(0, limits.accountCharacters)}--${unique}`;
}

/**
 * The name under which a node that leads asks holders which blobs are unused, and lets them go. Undefined when the node's own name
 * is too long for it, or begins with a dash.
 */
export function sweeperOf(node: string): string | undefined {
  const name = `--${node}`;
  return isSweeper(name) ? name : undefined;
}

/** Not of an account, however it is called: behind two dashes its name has two dashes again, or a third. */
export function isSweeper(requester: string): boolean {
  const node = requester.slice(2);
  return isIdentifier(requester) && requester.startsWith('--') && isNodeName(node) && !node.startsWith('-');
}

/** The length of the longest topic among those that differ from this one in the last segment only. */
function longestOfFamily(topic: string, segments: readonly string[]): number {
  const root = segments[0]!;
  const hasFamily = root === 'jobs' || root === 'queries' || root === 'blobs';
  return hasFamily ? topic.length - segments.at(-1)!.length + 'result'.length : topic.length;
}

function isOneOf<T extends string>(text: string, among: readonly T[]): text is T {
  return (among as readonly string[]).includes(text);
}

export type ParsedTopic =
  | { readonly kind: 'leader' | 'events' }
  | { readonly kind: 'forecast' | (typeof nodeLeaves)[number]; readonly node: string }
  | { readonly kind: (typeof jobLeaves)[number]; readonly account: string; readonly job: string }
  | { readonly kind: 'queryAsk' | 'queryChange' | 'queryAnswer'; readonly account: string; readonly client: string }
  | { readonly kind: 'raft'; readonly to: string; readonly from: string }
  | { readonly kind: 'blobAsk' | 'blobAnswer'; readonly holder: string; readonly requester: string };
