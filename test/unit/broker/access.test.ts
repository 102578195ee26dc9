import assert from 'node:assert/strict';
import { type ParsedTopic, Topics } from '@foremesh/node-runtime/contract';
import fc from 'fast-check';
import { mayPublish, maySubscribe, type Principal } from '../../../broker/access.ts';
import { filterMatches, filterProblem } from '../../../broker/topic-rules.ts';

const mesh = new Topics('home');
const principals = {
  owner: { kind: 'account', account: 'ann', role: 'owner' },
  author: { kind: 'account', account: 'ann', role: 'author' },
  viewer: { kind: 'account', account: 'ann', role: 'viewer' },
  voter: { kind: 'node', mesh: 'home', node: 'pi', mayLead: true },
  worker: { kind: 'node', mesh: 'home', node: 'pi', mayLead: false },
} as const satisfies Record<string, Principal>;
type Who = keyof typeof principals;

/** What each may do: r read, w write, c clear (write an empty message where it may write no other). */
type Row = readonly [topic: string, kind: ParsedTopic['kind'], rights: Readonly<Record<Who, string>>];
const row = (
  topic: string,
  kind: ParsedTopic['kind'],
  [author, viewer, voter, worker]: readonly [string, string, string, string],
): Row => [topic, kind, { owner: 'rw', author, viewer, voter, worker }];

/** Every topic of the contract: one's own, and another's. */
const rows: readonly Row[] = [
  //                                                               author viewer voter worker
  row(mesh.jobSpec('ann', 'j'), 'spec', ['rw', '', 'rc', '']),
  row(mesh.jobSpec('bob', 'j'), 'spec', ['', '', 'rc', '']),
  row(mesh.jobState('ann', 'j'), 'state', ['r', 'r', 'w', '']),
  row(mesh.jobState('bob', 'j'), 'state', ['', 'r', 'w', '']),
  row(mesh.jobResult('ann', 'j'), 'result', ['r', '', 'w', '']),
  row(mesh.jobResult('bob', 'j'), 'result', ['', '', 'w', '']),
  row(mesh.jobCancel('ann', 'j'), 'cancel', ['rw', '', 'r', '']),
  row(mesh.jobCancel('bob', 'j'), 'cancel', ['', '', 'r', '']),
  row(mesh.jobLogs('ann', 'j'), 'logs', ['r', '', 'w', 'w']),
  row(mesh.jobLogs('bob', 'j'), 'logs', ['', '', 'w', 'w']),
  row(mesh.queryAsk('ann', 'c'), 'queryAsk', ['w', 'w', 'r', '']),
  row(mesh.queryAsk('bob', 'c'), 'queryAsk', ['', '', 'r', '']),
  row(mesh.queryChange('ann', 'c'), 'queryChange', ['', '', 'r', '']),
  row(mesh.queryChange('bob', 'c'), 'queryChange', ['', '', 'r', '']),
  row(mesh.queryAnswer('ann', 'c'), 'queryAnswer', ['r', 'r', 'w', '']),
  row(mesh.queryAnswer('bob', 'c'), 'queryAnswer', ['', '', 'w', '']),
  row(mesh.blobAsk('broker', 'ann--1'), 'blobAsk', ['w', '', '', '']),
  row(mesh.blobAsk('broker', 'ann--'), 'blobAsk', ['', '', '', '']),
  row(mesh.blobAsk('broker', 'ann'), 'blobAsk', ['', '', '', '']),
  row(mesh.blobAsk('broker', 'bob--1'), 'blobAsk', ['', '', '', '']),
  row(mesh.blobAsk('broker', 'pi'), 'blobAsk', ['', '', 'w', 'w']),
  row(mesh.blobAsk('broker', 'hub'), 'blobAsk', ['', '', '', '']),
  row(mesh.blobAsk('broker', '--pi'), 'blobAsk', ['', '', 'w', '']),
  row(mesh.blobAsk('broker', '--hub'), 'blobAsk', ['', '', '', '']),
  row(mesh.blobAnswer('broker', '--pi'), 'blobAnswer', ['', '', 'r', '']),
  row(mesh.blobAsk('pi', 'bob--1'), 'blobAsk', ['', '', 'r', 'r']),
  row(mesh.blobAnswer('broker', 'ann--1'), 'blobAnswer', ['r', '', '', '']),
  row(mesh.blobAnswer('broker', 'anna--1'), 'blobAnswer', ['', '', '', '']),
  row(mesh.blobAnswer('broker', 'bob--1'), 'blobAnswer', ['', '', '', '']),
  row(mesh.blobAnswer('broker', 'pi'), 'blobAnswer', ['', '', 'r', 'r']),
  row(mesh.blobAnswer('pi', 'bob--1'), 'blobAnswer', ['', '', 'w', 'w']),
  row(mesh.leader(), 'leader', ['r', 'r', 'rw', 'r']),
  row(mesh.events(), 'events', ['r', 'r', 'w', 'w']),
  row(mesh.forecast('pi'), 'forecast', ['r', 'r', 'w', '']),
  row(mesh.nodeStatus('pi'), 'status', ['r', 'r', 'rw', 'rw']),
  row(mesh.nodeStatus('hub'), 'status', ['r', 'r', 'rc', '']),
  row(mesh.nodeMetrics('pi'), 'metrics', ['', 'r', 'rw', 'w']),
  row(mesh.nodeMetrics('hub'), 'metrics', ['', 'r', 'r', '']),
  row(mesh.nodeInbox('pi'), 'inbox', ['', '', 'rw', 'r']),
  row(mesh.nodeInbox('hub'), 'inbox', ['', '', 'w', '']),
  row(mesh.nodeOutbox('pi'), 'outbox', ['', '', 'rw', 'w']),
  row(mesh.nodeOutbox('hub'), 'outbox', ['', '', 'r', '']),
  row(mesh.raft('pi', 'hub'), 'raft', ['', '', 'r', '']),
  row(mesh.raft('hub', 'pi'), 'raft', ['', '', 'w', '']),
  row(mesh.raft('hub', 'nas'), 'raft', ['', '', '', '']),
];

function rightsOf(principal: Principal, topic: string): string {
  const write = mayPublish(principal, topic);
  const clear = mayPublish(principal, topic, true);
  return `${maySubscribe(principal, topic) ? 'r' : ''}${write ? 'w' : clear ? 'c' : ''}`;
}

const who = Object.keys(principals) as Who[];

describe('broker access', () => {
  for (const [topic, kind, rights] of rows) {
    it(`of ${topic.slice(mesh.prefix.length)}`, () => {
      assert.equal(mesh.parse(topic)?.kind, kind);
      const found = Object.fromEntries(who.map((each) => [each, rightsOf(principals[each], topic)]));
      assert.deepEqual(found, rights);
    });
  }

  it('is decided for every topic of the contract', () => {
    const all: Record<ParsedTopic['kind'], true> = {
      ...{ leader: true, events: true, forecast: true, status: true, metrics: true, inbox: true, outbox: true },
      ...{ spec: true, state: true, result: true, cancel: true, logs: true, raft: true },
      ...{ queryAsk: true, queryChange: true, queryAnswer: true, blobAsk: true, blobAnswer: true },
    };
    assert.deepEqual([...new Set(rows.map(([, kind]) => kind))].sort(), Object.keys(all).sort());
  });

  it('keeps a node out of other meshes, and all but owners out of what is not ours', () => {
    for (const [topic] of rows) {
      const elsewhere = topic.replace('/home/', '/away/');
      assert.equal(rightsOf(principals.voter, elsewhere), '', elsewhere);
      assert.equal(rightsOf(principals.author, elsewhere), rightsOf(principals.author, topic), elsewhere);
    }
    for (const topic of ['zigbee2mqtt/lamp', 'foremesh', 'foremesh/v1/home', 'foremesh/v2/home/leader', '/', 'a//b']) {
      for (const each of who) assert.equal(rightsOf(principals[each], topic), each === 'owner' ? 'rw' : '', topic);
    }
  });

  it('keeps channels to the account of their job; nodes carry those of all', () => {
    const [own, other] = ['ann', 'bob'].map((account) => `${mesh.prefix}channels/${account}/j/left`);
    assert.deepEqual(
      who.map((each) => [rightsOf(principals[each], own!), rightsOf(principals[each], other!)]),
      [
        ['rw', 'rw'],
        ['rw', ''],
        ['', ''],
        ['rw', 'rw'],
        ['rw', 'rw'],
      ],
    );
  });

  it('grants the filters that nodes and clients use, and refuses wider ones', () => {
    const filter = (text: string) => mesh.prefix + text;
    const granted: Readonly<Record<'author' | 'viewer' | 'voter' | 'worker', readonly string[]>> = {
      author: ['jobs/ann/#', 'jobs/ann/+/state', 'nodes/+/status', 'blobs/+/ann--1/answer', 'queries/ann/+/answer'],
      viewer: ['jobs/+/+/state', 'nodes/+/metrics', 'forecast/+'],
      voter: [
        'raft/pi/+',
        'jobs/+/+/spec',
        'queries/+/+/ask',
        'queries/+/+/change',
        'nodes/+/outbox',
        'blobs/+/pi/answer',
      ],
      worker: ['nodes/pi/inbox', 'blobs/+/pi/answer', 'blobs/pi/+/ask'],
    };
    const refused: typeof granted = {
      author: [
        '#',
        '+',
        'jobs/#',
        'jobs/+/+/state',
        'jobs/+/j/state',
        'nodes/#',
        'nodes/+/+',
        'blobs/+/+/answer',
        '+/ann/#',
      ],
      viewer: ['#', 'jobs/+/+/+', 'jobs/ann/#', 'nodes/+/+', 'queries/+/+/answer'],
      voter: [
        '#',
        'nodes/+/+',
        'nodes/+/inbox',
        'raft/+/+',
        'raft/#',
        'raft/pi/#',
        'jobs/+/+/+',
        'queries/+/+/+',
        'blobs/#',
      ],
      worker: ['#', 'nodes/+/status', 'nodes/+/inbox', 'nodes/pi/#', 'jobs/+/+/spec', 'raft/pi/+', 'blobs/+/+/answer'],
    };
    for (const each of ['author', 'viewer', 'voter', 'worker'] as const) {
      for (const text of granted[each]) assert.ok(maySubscribe(principals[each], filter(text)), `${each} ${text}`);
      for (const text of refused[each]) assert.ok(!maySubscribe(principals[each], filter(text)), `${each} ${text}`);
      for (const text of ['#', '+/#', 'foremesh/#', 'foremesh/v1/+/#', '+/v1/home/leader'])
        assert.ok(!maySubscribe(principals[each], text), `${each} ${text}`);
    }
    assert.ok(maySubscribe(principals.author, 'foremesh/v1/+/leader'));
    assert.ok(!maySubscribe(principals.voter, 'foremesh/v1/+/leader'));
    assert.ok(maySubscribe(principals.owner, '#'));
  });

  it('never takes one who is called like a wildcard, or like the broker, for more than he is', () => {
    for (const name of ['+', '#', '*', 'a*', '', 'a/b']) {
      const author = { kind: 'account', account: name, role: 'author' } as const;
      const node = { kind: 'node', mesh: 'home', node: name, mayLead: true } as const;
      for (const [topic] of rows) for (const each of [author, node]) assert.equal(rightsOf(each, topic), '');
    }
    const node = { kind: 'node', mesh: 'home', node: 'broker', mayLead: true } as const;
    assert.equal(rightsOf(node, mesh.blobAsk('broker', 'ann--1')), '');
    assert.equal(rightsOf(node, mesh.blobAnswer('broker', 'ann--1')), '');
  });

  /** Levels from the words that topics are made of, so that filters often meet them. */
  const word = fc.constantFrom(
    ...['foremesh', 'v1', 'home', 'away', 'jobs', 'queries', 'blobs', 'nodes', 'raft', 'channels', 'leader', 'events'],
    ...[
      'ann',
      'bob',
      'ann--1',
      'ann--',
      'pi',
      'hub',
      'broker',
      'j',
      'spec',
      'state',
      'status',
      'inbox',
      'ask',
      'answer',
    ],
  );
  const topicOfOurs = fc.constantFrom(...rows.map(([topic]) => topic));
  const anyTopic = fc.oneof(
    topicOfOurs,
    fc.array(word, { minLength: 1, maxLength: 8 }).map((levels) => levels.join('/')),
  );
  /** Some levels of a topic become wildcards, and its end perhaps `#`. */
  const anyFilter = fc
    .tuple(anyTopic, fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }), fc.option(fc.nat(7)))
    .map(([topic, wild, cut]) => {
      const levels = topic.split('/').map((level, index) => (wild[index] ? '+' : level));
      return (cut === null ? levels : [...levels.slice(0, cut), '#']).join('/');
    })
    .filter((filter) => filterProblem(filter) === undefined);
  const anyone = fc.constantFrom(...Object.values(principals));

  it('grants no filter that matches a topic which must not be read', () => {
    let granted = 0;
    fc.assert(
      fc.property(anyone, anyFilter, fc.array(anyTopic, { maxLength: 20 }), (principal, filter, more) => {
        if (!maySubscribe(principal, filter)) return;
        granted += 1;
        for (const topic of [...rows.map(([each]) => each), ...more])
          if (filterMatches(filter, topic)) assert.ok(maySubscribe(principal, topic), `${filter} matches ${topic}`);
      }),
      { numRuns: 3_000 },
    );
    assert.ok(granted > 100, `only ${granted} filters were granted`);
  });

  it('grants a filter that is narrower than one that it grants', () => {
    fc.assert(
      fc.property(anyone, anyFilter, anyTopic, (principal, filter, topic) => {
        fc.pre(maySubscribe(principal, filter) && filterMatches(filter, topic));
        const levels = topic.split('/');
        const narrower = filter.split('/').map((level, index) => (level === '+' ? levels[index]! : level));
        assert.ok(maySubscribe(principal, narrower.join('/')));
      }),
      { numRuns: 300, maxSkipsPerRun: 10_000 },
    );
  });
});
