import assert from 'node:assert/strict';
import fc from 'fast-check';
import { FilterTrie, filterMatches, filterProblem, topicProblem } from '../../../broker/topic-rules.ts';

const segment = fc.constantFrom('a', 'b', '', '$x');
const topic = fc.array(segment, { minLength: 1, maxLength: 4 }).map((levels) => levels.join('/'));
const filter = fc
  .tuple(fc.array(fc.oneof(segment, fc.constant('+')), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([levels, rest]) => (rest ? [...levels, '#'] : levels).join('/'));

describe('broker topic rules', () => {
  it('matches as MQTT 3.1.1 says', () => {
    for (const [pattern, name, expected] of [
      ['a/b', 'a/b', true],
      ['a/+', 'a/b', true],
      ['a/+', 'a/', true],
      ['a/+', 'a', false],
      ['a/+', 'a/b/c', false],
      ['a/#', 'a', true],
      ['a/#', 'a/b/c', true],
      ['#', 'a/b', true],
      ['#', '$SYS/x', false],
      ['+/x', '$SYS/x', false],
      ['+', '', true],
      ['/+', '/a', true],
      ['+/+', '/a', true],
      ['a', 'b', false],
    ] as const) {
      assert.equal(filterMatches(pattern, name), expected, `${pattern} ${name}`);
    }
  });

  it('finds in the trie what matches one by one, after additions and removals', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(filter, fc.nat(3), fc.nat(1))),
        fc.array(fc.nat(20)),
        topic,
        (added, removed, name) => {
          const trie = new FilterTrie<number>();
          const left = new Map<string, [filter: string, value: number, qos: number]>();
          for (const [pattern, value, qos] of added) {
            trie.set(pattern, value, qos);
            left.set(`${pattern} ${value}`, [pattern, value, qos]);
          }
          for (const index of removed) {
            const [pattern, value] = added[index] ?? [];
            if (pattern === undefined || value === undefined) continue;
            trie.delete(pattern, value);
            left.delete(`${pattern} ${value}`);
          }
          const expected = new Map<number, number>();
          for (const [pattern, value, qos] of left.values()) {
            if (filterMatches(pattern, name)) expected.set(value, Math.max(qos, expected.get(value) ?? 0));
          }
          assert.deepEqual([...trie.match(name)].sort(), [...expected].sort());
        },
      ),
    );
  });

  it('names what is wrong', () => {
    for (const good of ['a', 'a/b', '/', 'foremesh/v1/m/nodes/x/status', 'ä', 'a b.c'])
      assert.equal(topicProblem(good), undefined);
    for (const bad of ['', '$SYS/x', 'a/+', '#', 'a\u0000', 'x/'.repeat(10), 'ä'.repeat(101)])
      assert.ok(topicProblem(bad), bad);
    for (const good of ['#', '+', 'a/#', '+/+/#', '/']) assert.equal(filterProblem(good), undefined);
    for (const bad of ['', '$SYS/#', '$share/g/a', 'a#', '#/a', 'a+', 'a/b+/c', 'x/'.repeat(10)])
      assert.ok(filterProblem(bad), bad);
  });
});
