import { isIdentifier, isNodeName, sweeperOf } from '@foremesh/node-runtime/contract';
import { brokerHolder } from './blob-service.ts';

/** What an account may do: everything; its own jobs; or only look at what is there. */
export const roles = ['owner', 'author', 'viewer'] as const;
export type Role = (typeof roles)[number];

/** Who is at the other end of a connection, once that has been shown. */
export type Principal =
  | { readonly kind: 'account'; readonly account: string; readonly role: Role }
  /** A node that came with its certificate: its id, of which mesh, and whether it may vote and lead there. */
  | { readonly kind: 'node'; readonly mesh: string; readonly node: string; readonly mayLead: boolean };

/** Levels of topics: as written, `+` for any one, `#` for all that follow, and `x*` for what begins with x and goes on. */
type Pattern = readonly string[];

interface Rights {
  readonly read: readonly Pattern[];
  readonly write: readonly Pattern[];
  /** Where an empty message may be written, which clears what is retained. */
  readonly clear: readonly Pattern[];
}

const everything: Rights = { read: [['#']], write: [['#']], clear: [] };
const nothing: Rights = { read: [], write: [], clear: [] };
const rightsKnown = new WeakMap<Principal, Rights>();

/**
 * Whether the principal may publish on a topic; `isEmpty` says that there is no payload. This is defence in depth: what nodes
 * say is sealed, and whoever hears it checks the seal, since a foreign broker does not keep these rules.
 */
export function mayPublish(principal: Principal, topic: string, isEmpty = false): boolean {
  const { write, clear } = rightsOf(principal);
  const levels = topic.split('/');
  return isCovered(levels, write) || (isEmpty && isCovered(levels, clear));
}

/** Whether the principal may read all that the filter can ever match. A topic is a filter too: that which matches itself. */
export function maySubscribe(principal: Principal, filter: string): boolean {
  return isCovered(filter.split('/'), rightsOf(principal).read);
}

/** For a log: `account "ann" (author)`. */
export function describePrincipal(principal: Principal): string {
  if (principal.kind === 'account') return `account "${principal.account}" (${principal.role})`;
  return `node "${principal.node}"${principal.mayLead ? '' : ' (never leads)'}`;
}

function rightsOf(principal: Principal): Rights {
  let rights = rightsKnown.get(principal);
  if (rights === undefined) {
    const names = principal.kind === 'node' ? [principal.mesh, principal.node] : [principal.account];
    // A name with a wildcard in it would be a right to all names; a node called like an account's questions, one to those.
    if (!names.every(isIdentifier) || (principal.kind === 'node' && !isNodeName(principal.node))) rights = nothing;
    else rights = principal.kind === 'node' ? rightsOfNode(principal) : rightsOfAccount(principal);
    rightsKnown.set(principal, rights);
  }
  return rights;
}

/** What anybody with an account may see: who leads, who is there, what happens, what is expected. */
const open = ['leader', 'events', 'nodes/+/status', 'forecast/+'];

/** An account is one at every mesh of this broker. */
function rightsOfAccount({ account, role }: Principal & { kind: 'account' }): Rights {
  if (role === 'owner') return everything;
  const of = patternsOf('+');
  const questions = `queries/${account}/+`;
  const read = of(...open, `${questions}/answer`);
  const write = of(`${questions}/ask`);
  if (role === 'viewer') return { read: [...read, ...of('nodes/+/metrics', 'jobs/+/+/state')], write, clear: [] };
  const own = [`jobs/${account}`, `channels/${account}`];
  const blobs = `blobs/+/${account}--*`;
  return {
    read: [...read, ...of(...own.map((each) => `${each}/#`), `${blobs}/answer`)],
    write: [...write, ...of(`${own[0]}/+/spec`, `${own[0]}/+/cancel`, `${own[1]}/#`, `${blobs}/ask`)],
    clear: [],
  };
}

function rightsOfNode({ mesh, node, mayLead }: Principal & { kind: 'node' }): Rights {
  const of = patternsOf(mesh);
  const own = `nodes/${node}`;
  // One that holds blobs answers under its own name, which must not be that of the broker's.
  const holds = node !== brokerHolder;
  const read = of('leader', `${own}/status`, `${own}/inbox`, 'channels/#', `blobs/+/${node}/answer`);
  const write = of(`${own}/status`, `${own}/metrics`, `${own}/outbox`, 'events', 'jobs/+/+/logs', 'channels/#');
  write.push(...of(`blobs/+/${node}/ask`));
  if (holds) {
    read.push(...of(`blobs/${node}/+/ask`));
    write.push(...of(`blobs/${node}/+/answer`));
  }
  if (!mayLead) return { read, write, clear: [] };
  read.push(...of('nodes/+/status', 'nodes/+/metrics', 'nodes/+/outbox', `raft/${node}/+`));
  read.push(...of('jobs/+/+/spec', 'jobs/+/+/cancel', 'queries/+/+/ask', 'queries/+/+/change'));
  const sweeper = sweeperOf(node);
  if (sweeper !== undefined) {
    read.push(...of(`blobs/+/${sweeper}/answer`));
    write.push(...of(`blobs/+/${sweeper}/ask`));
  }
  write.push(...of('leader', 'forecast/+', 'nodes/+/inbox', `raft/+/${node}`));
  write.push(...of('jobs/+/+/state', 'jobs/+/+/result', 'queries/+/+/answer'));
  // A leader clears the specs that the log has, and the statuses of nodes that are gone; it submits nothing.
  return { read, write, clear: of('jobs/+/+/spec', 'nodes/+/status') };
}

function patternsOf(mesh: string): (...topics: readonly string[]) => Pattern[] {
  return (...topics) => topics.map((topic) => ['foremesh', 'v1', mesh, ...topic.split('/')]);
}

function isCovered(filter: readonly string[], patterns: readonly Pattern[]): boolean {
  return patterns.some((pattern) => covers(pattern, filter));
}

/** Whether the pattern matches every topic that the filter matches. */
function covers(pattern: Pattern, filter: readonly string[]): boolean {
  for (const [index, level] of pattern.entries()) {
    if (level === '#') return true;
    const wanted = filter[index];
    if (wanted === undefined || wanted === '#') return false;
    if (level === '+' || level === wanted) continue;
    const prefix = level.endsWith('*') ? level.slice(0, -1) : undefined;
    if (prefix === undefined || !wanted.startsWith(prefix) || wanted === prefix) return false;
  }
  return pattern.length === filter.length;
}
