import assert from 'node:assert/strict';
import {
  decode,
  type HistoryPage,
  type InboxMessage,
  limits,
  type OutboxMessage,
  type QueryAnswer,
  queryAnswer,
} from '../../../node-runtime/contract/index.ts';
import { NodeRelay, splitAnswers } from '../../../node-runtime/shell/voter/node-relay.ts';
import { until } from '../../support/until.ts';
import { endAll, later } from './scratch.ts';

const page: HistoryPage = {
  agesMs: [5],
  runs: [1],
  values: { cpuShare: [0.5] },
  intervalMs: 5_000,
  diskBytesMost: 1,
  writtenBytes: 2,
};
const ask = (id: string, node = 'bob') => ({ v: 1, id, query: 'history', node, resolution: '5s', from: 7 }) as const;

describe('NodeRelay', () => {
  const sent: { node: string; message: InboxMessage & { type: 'history-request' } }[] = [];
  const answers: { to: string; answer: QueryAnswer }[] = [];
  const nodes = new Map([
    ['bob', true],
    ['cyd', true],
    ['gone', false],
  ]);
  const running = new Map([['t-1', { node: 'bob', attempt: 'owner/j/t-1#1.1' }]]);
  const relayOf = (waitMs?: number) => {
    const relay = new NodeRelay({
      isOnline: (node) => nodes.get(node),
      whereRuns: (_account, _job, task) => running.get(task),
      send: (node, message) => void sent.push({ node, message: message as (typeof sent)[0]['message'] }),
      answer: (account, client, payload) =>
        void answers.push({ to: `${account}/${client}`, answer: decode(queryAnswer, payload) }),
      ...(waitMs === undefined ? {} : { waitMs }),
    });
    later(() => relay.close());
    return relay;
  };
  const codes = () => answers.map(({ answer }) => (answer.query === 'error' ? answer.problem.code : answer.query));
  beforeEach(() => {
    sent.length = 0;
    answers.length = 0;
  });
  afterEach(endAll);

  it('asks the node and passes its answer on, once, to who asked', () => {
    const relay = relayOf();
    relay.ask('owner', 'cli', ask('q1'));
    relay.ask('owner', 'page', ask('q1', 'cyd'));
    const [bob, cyd] = sent.map(({ message }) => message.request) as [number, number];
    assert.deepEqual(sent[0], {
      node: 'bob',
      message: { type: 'history-request', request: bob, resolution: '5s', from: 7 },
    });
    relay.hear('cyd', { type: 'history', request: bob, page }); // not who was asked
    relay.hear('bob', { type: 'history', request: bob + 9, page });
    assert.equal(answers.length, 0);
    relay.hear('bob', { type: 'history', request: bob, page });
    relay.hear('bob', { type: 'history', request: bob, page });
    assert.deepEqual(answers, [{ to: 'owner/cli', answer: { v: 1, id: 'q1', query: 'history', page } }]);
    relay.hear('cyd', {
      type: 'request-failed',
      request: cyd,
      problem: { code: 'MESH_STORAGE_FAILED', message: 'no' },
    });
    assert.deepEqual(answers[1]!.answer, {
      v: 1,
      id: 'q1',
      query: 'error',
      problem: { code: 'MESH_STORAGE_FAILED', message: 'no', where: 'cyd' },
    });
  });

  it('asks again what is asked again, with the number it has', () => {
    const relay = relayOf();
    relay.ask('owner', 'cli', ask('q1'));
    relay.ask('owner', 'cli', ask('q1'));
    assert.equal(new Set(sent.map(({ message }) => message.request)).size, 1);
    assert.equal(sent.length, 2);
  });

  it('says at once that there is no such node, or that it is away, and after a while that it is silent', async () => {
    const relay = relayOf(20);
    relay.ask('owner', 'cli', ask('q1', 'nobody'));
    relay.ask('owner', 'cli', ask('q2', 'gone'));
    assert.deepEqual(codes(), ['MESH_NODE_UNKNOWN', 'MESH_NODE_AWAY']);
    relay.ask('owner', 'cli', ask('q3'));
    await until('it has waited long enough', () => answers.length === 3);
    assert.equal(codes()[2], 'MESH_NODE_AWAY');
    relay.hear('bob', { type: 'history', request: sent.at(-1)!.message.request, page });
    assert.equal(answers.length, 3, 'too late');
  });

  it('waits for so many nodes, and not more', () => {
    const relay = relayOf();
    for (let n = 0; n <= limits.relayedQueries; n += 1) relay.ask('owner', `c${n}`, ask('q1'));
    assert.deepEqual([sent.length, ...codes()], [limits.relayedQueries, 'MESH_LIMIT_EXCEEDED']);
    relay.hear('bob', { type: 'history', request: sent[0]!.message.request, page });
    relay.ask('owner', 'last', ask('q1'));
    assert.equal(sent.length, limits.relayedQueries + 1);
    relay.close();
    relay.hear('bob', { type: 'history', request: sent[5]!.message.request, page });
    assert.equal(answers.length, 2, 'another leads now');
  });

  it('refuses what is no payload as JSON, and goes on', () => {
    const relay = relayOf();
    relay.ask('owner', 'cli', ask('q1'));
    const most = limits.historySamplesPerAnswer;
    const long = Object.fromEntries(
      Array.from({ length: 12 }, (_, n) => [`m${n}`, Array.from({ length: most }, () => -1.2345678901234567e-100)]),
    );
    const large = { ...page, values: long } as unknown as HistoryPage;
    relay.hear('bob', { type: 'history', request: sent[0]!.message.request, page: large });
    assert.deepEqual(codes(), ['MESH_LIMIT_EXCEEDED']);
  });

  it('keeps histories from the planner and its journal', () => {
    const history = { type: 'history', request: 1, page } as const;
    const inventory: OutboxMessage = { type: 'inventory', request: 5, attempts: [] };
    assert.deepEqual(splitAnswers([history, inventory]), { answers: [history], rest: [inventory] });
  });
});
