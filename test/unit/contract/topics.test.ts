import assert from 'node:assert/strict';
import { isIdentifier, limits, MeshError, type ParsedTopic, Topics } from '@foremesh/node-runtime/contract';
import fc from 'fast-check';

const identifier = fc.oneof(fc.stringMatching(/^[A-Za-z0-9_-]{1,30}$/), fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/));

function build(
  topics: Topics,
  { kind, a, b }: { kind: ParsedTopic['kind']; a: string; b: string },
): { topic: string; parsed: ParsedTopic } {
  switch (kind) {
    case 'leader':
      return { topic: topics.leader(), parsed: { kind } };
    case 'events':
      return { topic: topics.events(), parsed: { kind } };
    case 'forecast':
      return { topic: topics.forecast(a), parsed: { kind, node: a } };
    case 'status':
      return { topic: topics.nodeStatus(a), parsed: { kind, node: a } };
    case 'metrics':
      return { topic: topics.nodeMetrics(a), parsed: { kind, node: a } };
    case 'inbox':
      return { topic: topics.nodeInbox(a), parsed: { kind, node: a } };
    case 'outbox':
      return { topic: topics.nodeOutbox(a), parsed: { kind, node: a } };
    case 'spec':
      return { topic: topics.jobSpec(a, b), parsed: { kind, account: a, job: b } };
    case 'state':
      return { topic: topics.jobState(a, b), parsed: { kind, account: a, job: b } };
    case 'result':
      return { topic: topics.jobResult(a, b), parsed: { kind, account: a, job: b } };
    case 'cancel':
      return { topic: topics.jobCancel(a, b), parsed: { kind, account: a, job: b } };
    case 'logs':
      return { topic: topics.jobLogs(a, b), parsed: { kind, account: a, job: b } };
    case 'queryAsk':
      return { topic: topics.queryAsk(a, b), parsed: { kind, account: a, client: b } };
    case 'queryChange':
      return { topic: topics.queryChange(a, b), parsed: { kind, account: a, client: b } };
    case 'queryAnswer':
      return { topic: topics.queryAnswer(a, b), parsed: { kind, account: a, client: b } };
    case 'raft':
      return { topic: topics.raft(a, b), parsed: { kind, to: a, from: b } };
    case 'blobAsk':
      return { topic: topics.blobAsk(a, b), parsed: { kind, holder: a, requester: b } };
    case 'blobAnswer':
      return { topic: topics.blobAnswer(a, b), parsed: { kind, holder: a, requester: b } };
  }
}

const kinds: ParsedTopic['kind'][] = [
  ...(['leader', 'events', 'forecast', 'status', 'metrics', 'inbox', 'outbox', 'spec', 'state', 'result'] as const),
  ...(['cancel', 'logs', 'queryAsk', 'queryChange', 'queryAnswer', 'blobAsk', 'blobAnswer', 'raft'] as const),
];
const topics = new Topics('home');

describe('topics', () => {
  it('parse is the inverse of every builder', () => {
    fc.assert(
      fc.property(identifier, fc.constantFrom(...kinds), identifier, identifier, (mesh, kind, a, b) => {
        const of = new Topics(mesh);
        let built: ReturnType<typeof build>;
        try {
          built = build(of, { kind, a, b });
        } catch (error) {
          assert.ok(error instanceof MeshError && error.code === 'MESH_LIMIT_EXCEEDED');
          return;
        }
        assert.ok(built.topic.length <= limits.topicBytes && built.topic.split('/').length <= limits.topicLevels);
        assert.deepEqual(of.parse(built.topic), built.parsed);
        assert.equal(new Topics(`${mesh.slice(0, 40)}x`).parse(built.topic), undefined);
      }),
      { numRuns: 1_000 },
    );
  });

  it('whoever can be heard can be answered: a topic is as long as the longest of its family allows', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 40, max: 64 }),
        fc.integer({ min: 40, max: 64 }),
        fc.integer({ min: 50, max: 64 }),
        (m, a, b) => {
          const of = new Topics('m'.repeat(m));
          const [account, job] = ['a'.repeat(a), 'j'.repeat(b)];
          const published = `${of.prefix}jobs/${account}/${job}/spec`;
          if (of.parse(published) !== undefined) {
            of.jobState(account, job);
            of.jobResult(account, job);
          }
          if (of.parse(`${of.prefix}queries/${account}/${job}/ask`) !== undefined) of.queryAnswer(account, job);
          if (of.parse(`${of.prefix}blobs/${account}/${job}/ask`) !== undefined) of.blobAnswer(account, job);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('never throws on a topic of anyone', () => {
    const segment = fc.oneof(
      identifier,
      fc.constantFrom('', '+', '#', 'jobs', 'nodes', 'status', 'ask', 'spec', 'constructor', '__proto__'),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 12 }), (segments) => {
        const parsed = topics.parse(topics.prefix + segments.join('/'));
        if (parsed !== undefined) assert.ok(segments.every(isIdentifier));
      }),
      { numRuns: 2_000 },
    );
  });

  it('refuses what is no identifier, in a short message', () => {
    for (const text of ['', 'a.b', 'a b', 'a/b', '+', '#', 'é', 'a\n', 'x'.repeat(65), 'x'.repeat(100_000)]) {
      assert.throws(
        () => topics.jobSpec('me', text === '+' ? '++' : text),
        (error) => error instanceof MeshError && error.code === 'MESH_TOPIC_INVALID' && error.message.length < 300,
      );
      assert.throws(() => new Topics(text), { code: 'MESH_TOPIC_INVALID' });
    }
  });

  it('hears nothing of other meshes, versions and leaves', () => {
    for (const topic of [
      'foremesh/v1/other/leader',
      'foremesh/v2/home/leader',
      'foremesh/v1/home',
      'foremesh/v1/home/',
      'foremesh/v1/home/leader/x',
      'foremesh/v1/home/nodes/a',
      'foremesh/v1/home/nodes/a/will',
      'foremesh/v1/home/nodes/a/b/status',
      'foremesh/v1/home/jobs/a/spec',
      'foremesh/v1/home/jobs/a/b/c/spec',
      'foremesh/v1/home/jobs/a/b/toString',
      'foremesh/v1/home/status',
    ]) {
      assert.equal(topics.parse(topic), undefined, topic);
    }
  });
});
