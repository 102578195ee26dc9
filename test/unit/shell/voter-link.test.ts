import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { lastValue, predictTasks } from '@foremesh/models';
import { standardPlanning } from '@foremesh/partitioner';
import { pino } from 'pino';
import {
  decode,
  encode,
  inboxEnvelope,
  type JobState,
  jobState,
  MeshError,
  type MeshEvent,
  meshEvent,
  parseConnection,
  queryAnswer,
  Topics,
  type Transport,
} from '../../../node-runtime/contract/index.ts';
import { foresightBy, raftProfiles } from '../../../node-runtime/core/index.ts';
import { Admitter } from '../../../node-runtime/shell/admission.ts';
import { Signer } from '../../../node-runtime/shell/signing.ts';
import { VoterLink } from '../../../node-runtime/shell/voter/voter-link.ts';
import { until } from '../../support/until.ts';
import { nodeStatus } from '../core/samples.ts';
import { FakeBlobs } from './fake-blobs.ts';
import { keyPair } from './keys.ts';
import { endAll, later, meshError, scratch } from './scratch.ts';

const topics = new Topics('mesh');
const specTopic = topics.jobSpec('owner', 'job');
const spec = encode({ stages: { main: { code: { inline: 'export default 1' } } } }, 'json');

/** A leader whose broker is the test. */
class Stage {
  readonly blobs = new FakeBlobs();
  readonly published: { topic: string; payload: Uint8Array; retain: boolean }[] = [];
  /** The keys of voters that some leader has proved. */
  readonly known = new Map<string, string>();
  /** Whether the broker acknowledges. */
  reachable = true;
  link!: VoterLink;
  readonly signer = new Signer(keyPair(), keyPair().publicKey);
  readonly connection = parseConnection(`foremesh://owner:secret@host/mesh?id=${this.signer.meshId}`);

  readonly #transport = {
    publish: async (topic: string, payload: Uint8Array, { retain = false }: { retain?: boolean }) => {
      if (!this.reachable) throw new MeshError('MESH_UNREACHABLE', 'gone');
      this.published.push({ topic, payload, retain });
    },
  } as unknown as Transport;

  async open(logDirectory: string): Promise<void> {
    this.link = await VoterLink.open({
      id: 'ada',
      bootId: 'boot',
      holders: ['broker'],
      topics,
      blobs: this.blobs.client,
      transport: () => this.#transport,
      subscriptions: () => undefined,
      signer: this.signer,
      judge: (status) => new Admitter({ connection: this.connection, authority: () => undefined }).judge(status),
      trust: { keyOf: (node) => this.known.get(node), links: [], learn: () => undefined },
      onAnnounce: () => undefined,
      founders: ['ada'],
      profile: raftProfiles.lan,
      publicKey: this.signer.publicKey,
      log: pino({ level: 'silent' }),
      logDirectory,
      policy: {
        ...standardPlanning,
        looksAhead: true,
        createForesight: () => foresightBy(lastValue),
        predictTasks,
        occurrences: () => 'no schedules here',
      },
      onFatal: () => undefined,
    });
    later(() => this.link.close());
  }

  hear(topic: string, payload: Uint8Array): void {
    this.link.hear(topics.parse(topic)!, topic, payload);
  }

  of(topic: string): Uint8Array[] {
    return this.published.filter((each) => each.topic === topic).map(({ payload }) => payload);
  }
  get states(): JobState[] {
    return this.of(topics.jobState('owner', 'job')).map((payload) => decode(jobState, payload));
  }
  get events(): MeshEvent[] {
    return this.of(topics.events()).map((payload) => decode(meshEvent, payload));
  }
  inPhase(phase: JobState['phase']): Promise<JobState> {
    return until(`the job is ${phase}`, () => this.states.find((state) => state.phase === phase));
  }
}

describe('VoterLink', () => {
  let stage: Stage;
  let directory: string;
  beforeEach(async () => {
    stage = new Stage();
    directory = await scratch();
    await stage.open(directory);
    stage.link.connected();
  });
  afterEach(endAll);

  it('takes what it hears from its first moment, and says that it has it', async () => {
    stage.hear(specTopic, spec);
    await stage.inPhase('accepted');
    const cleared = await until('a retained spec is cleared', () => stage.of(specTopic)[0]);
    assert.equal(cleared.length, 0);
  });

  it('holds a spec while no holder can be reached', async () => {
    let failures = 3;
    const { put } = stage.blobs;
    stage.blobs.put = (bytes) => {
      failures -= 1;
      if (failures >= 0) return Promise.reject(new MeshError('MESH_UNREACHABLE', 'broker said nothing'));
      return put.call(stage.blobs, bytes);
    };
    stage.hear(specTopic, spec);
    stage.hear(specTopic, spec);
    await stage.inPhase('accepted');
    assert.equal(failures, -1, 'the same spec again is not taken in again');
  });

  it('cancels a job whose spec is being taken in', async () => {
    stage.hear(specTopic, spec);
    stage.hear(topics.jobCancel('owner', 'other'), new Uint8Array());
    stage.hear(topics.jobCancel('owner', 'job'), new Uint8Array());
    const { problem } = await stage.inPhase('cancelled');
    assert.equal(problem?.message, 'cancelled by owner');
  });

  it('lets a job go that is cancelled while it waits for a holder', async () => {
    stage.blobs.put = () =>
      new Promise((_, reject) => setImmediate(() => reject(new MeshError('MESH_UNREACHABLE', 'away'))));
    stage.hear(specTopic, spec);
    stage.hear(topics.jobCancel('owner', 'job'), encode({ reason: 'no more' }, 'json'));
    const { problem } = await stage.inPhase('refused');
    assert.deepEqual([problem?.code, problem?.message], ['MESH_JOB_CANCELLED', 'no more']);
  });

  it('counts what is malformed and tells it, briefly', () => {
    const large = encode({ v: 1, ['x'.repeat(100_000)]: 1 }, 'json');
    stage.hear(topics.nodeStatus('bob'), large);
    stage.hear(topics.nodeOutbox('bob'), encode({ v: 3 }, 'json'));
    stage.hear(topics.jobCancel('owner', 'job'), Buffer.from('{"reason":7}'));
    assert.equal(stage.link.malformed, 3);
    assert.deepEqual(
      stage.events.map(({ kind, severity }) => `${kind} ${severity}`),
      Array(3).fill('message-refused warning'),
    );
    assert.match(stage.events[1]!.text, /nodes\/bob\/outbox: nobody here knows the key of "bob"/);
  });

  it('keeps nothing of nodes that it refuses: names can be made up', async () => {
    const stranger = new Signer(keyPair(), stage.signer.meshId);
    const topic = topics.nodeStatus('bob');
    const { publicKey } = stranger;
    const status = encode({ ...nodeStatus('bob'), publicKey }, 'json');
    for (const times of [1, 2]) {
      stage.hear(topic, stranger.seal(status, topic));
      await until('bob is refused', () => stage.of(topics.nodeInbox('bob')).length === times);
    }
    const said = stage.of(topics.nodeInbox('bob')).map((payload) => decode(inboxEnvelope, payload));
    assert.deepEqual(
      said.map(({ seq, messages }) => [seq, messages.map(({ type }) => type)]),
      [
        [1, ['refused']],
        [1, ['refused']],
      ],
    );
  });

  it('publishes retained words again that the broker had not acknowledged', async () => {
    stage.reachable = false;
    stage.link.disconnected();
    stage.hear(specTopic, spec);
    assert.deepEqual(stage.states, []);
    await until('it is published once the broker is back', () => {
      stage.reachable = true;
      stage.link.connected();
      return stage.states.length > 0;
    });
    const before = stage.states.length;
    await new Promise(setImmediate);
    stage.link.connected();
    await new Promise(setImmediate); // retained words go out a turn later
    assert.equal(stage.states.length, before, 'what was acknowledged is not said again');
  });

  it('asks itself before it has heard of anybody, and does not deny whom it knows', async () => {
    stage.known.set('bob', keyPair().publicKey);
    const ask = (node: string) => {
      const asked = { v: 1, id: node, query: 'history', node, resolution: '5s' } as const;
      stage.hear(topics.queryAsk('owner', 'cli'), encode(asked, 'json'));
    };
    for (const node of ['ada', 'bob', 'cyd']) ask(node);
    const asked = await until('it asks itself', () => {
      const said = stage.of(topics.nodeInbox('ada'));
      return said.length === 0 ? undefined : said.map((payload) => decode(inboxEnvelope, payload));
    });
    assert.deepEqual(
      asked.flatMap(({ messages }) => messages.map(({ type }) => type)),
      ['history-request'],
    );
    const answers = stage.of(topics.queryAnswer('owner', 'cli')).map((payload) => decode(queryAnswer, payload));
    assert.deepEqual(
      answers.map((answer) => [answer.id, answer.query === 'error' && answer.problem.code]),
      [
        ['bob', 'MESH_NODE_AWAY'],
        ['cyd', 'MESH_NODE_UNKNOWN'],
      ],
    );
  });

  it('does not open on a log that cannot be trusted', async () => {
    await stage.link.close();
    await writeFile(join(directory, 'hard-state'), 'damaged');
    await assert.rejects(stage.open(directory), meshError('MESH_LOG_CORRUPT', 'hard-state'));
    const blocked = await scratch();
    await mkdir(join(blocked, 'hard-state.new'));
    await assert.rejects(new Stage().open(blocked), meshError('MESH_STORAGE_FAILED', blocked));
  });
});
