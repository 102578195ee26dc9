import { limits } from '@foremesh/node-runtime/contract';

/**
 * What is wrong with a topic that a client publishes to, or undefined. Levels and bytes are the contract's, so that
 * what works here works on every broker; which characters a segment has is left to whoever owns the topic.
 */
export function topicProblem(topic: string): string | undefined {
  if (topic.startsWith('$')) return 'topics that begin with $ belong to the broker';
  if (/[+#]/.test(topic)) return 'a topic to publish to has no wildcards';
  return shapeProblem(topic);
}

/** What is wrong with a subscription's filter, or undefined. */
export function filterProblem(filter: string): string | undefined {
  if (filter.startsWith('$')) return 'filters that begin with $ ($SYS, $share) are not served';
  const segments = filter.split('/');
  for (const [index, segment] of segments.entries()) {
    if (segment.includes('#') && (segment !== '#' || index !== segments.length - 1)) return '# stands alone at the end';
    if (segment.includes('+') && segment !== '+') return '+ stands alone in its level';
  }
  return shapeProblem(filter);
}

function shapeProblem(text: string): string | undefined {
  if (text.length === 0) return 'the topic is empty';
  if (Buffer.byteLength(text) > limits.topicBytes) return `topicBytes is ${limits.topicBytes}`;
  if (text.split('/').length > limits.topicLevels) return `topicLevels is ${limits.topicLevels}`;
  if (text.includes('\u0000')) return 'a topic has no null character';
  return undefined;
}

/** MQTT matching of a checked filter; topics that begin with $ match no leading wildcard. */
export function filterMatches(filter: string, topic: string): boolean {
  if (filter === topic) return true;
  if (topic.startsWith('$') && (filter.startsWith('+') || filter.startsWith('#'))) return false;
  const wanted = filter.split('/');
  const levels = topic.split('/');
  for (const [index, segment] of wanted.entries()) {
    if (segment === '#') return true;
    if (index >= levels.length) return false;
    if (segment !== '+' && segment !== levels[index]) return false;
  }
  return wanted.length === levels.length;
}

interface TrieNode<T> {
  readonly children: Map<string, TrieNode<T>>;
  readonly values: Map<T, number>;
}

/** Filters with a value each (a subscriber, a QoS); finds the values whose filter matches a topic. */
export class FilterTrie<T> {
  readonly #root: TrieNode<T> = { children: new Map(), values: new Map() };

  set(filter: string, value: T, qos: number): void {
    let node = this.#root;
    for (const segment of filter.split('/')) {
      let child = node.children.get(segment);
      if (child === undefined) {
        child = { children: new Map(), values: new Map() };
        node.children.set(segment, child);
      }
      node = child;
    }
    node.values.set(value, qos);
  }

  delete(filter: string, value: T): void {
    const path: [TrieNode<T>, string][] = [];
    let node = this.#root;
    for (const segment of filter.split('/')) {
      const child = node.children.get(segment);
      if (child === undefined) return;
      path.push([node, segment]);
      node = child;
    }
    node.values.delete(value);
    for (const [parent, segment] of path.reverse()) {
      const child = parent.children.get(segment)!;
      if (child.values.size > 0 || child.children.size > 0) return;
      parent.children.delete(segment);
    }
  }

  /** Each matching value once, with the highest QoS of its matching filters. */
  match(topic: string): Map<T, number> {
    const found = new Map<T, number>();
    if (this.#root.children.size === 0) return found;
    const take = (node: TrieNode<T> | undefined) => {
      for (const [value, qos] of node?.values ?? []) found.set(value, Math.max(qos, found.get(value) ?? 0));
    };
    const levels = topic.split('/');
    const walk = (node: TrieNode<T>, index: number): void => {
      const wild = index > 0 || !topic.startsWith('$');
      if (wild) take(node.children.get('#'));
      if (index === levels.length) {
        take(node);
        return;
      }
      const exact = node.children.get(levels[index]!);
      if (exact !== undefined) walk(exact, index + 1);
      const any = wild ? node.children.get('+') : undefined;
      if (any !== undefined) walk(any, index + 1);
    };
    walk(this.#root, 0);
    return found;
  }
}
