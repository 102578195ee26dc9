import assert from 'node:assert/strict';
import { join } from 'node:path';
import { bodyOf, meshIdOf, voteStatement } from '@foremesh/node-runtime/contract';
import { RaftWire } from '@foremesh/node-runtime/core';
import { openHome } from '@foremesh/node-runtime/shell';
import { readKey } from '../../../node-runtime/shell/identity.ts';
import { Signer } from '../../../node-runtime/shell/signing.ts';
import { readTrust } from '../../../node-runtime/shell/trust-file.ts';
import { type AttemptMessage, attempts, garbage, hostileSpecs } from './hostile-samples.ts';
import { jobOf, Mesh } from './mesh.ts';
import { endAll, makeTransport, until } from './support.ts';

const squares = jobOf('let sum = 0; for await (const line of task.input) sum += line * line; return sum', {
  input: { inline: Array.from({ length: 100 }, (_, n) => `${n + 1}\n`).join('') },
  split: { by: 'lines', chunks: 4 },
  merge: { inline: 'export default (task) => task.parts.reduce((sum, part) => sum + part, 0)' },
});

/** A second client of the same account: what its connection meets is no matter of the first. */
async function makeEnemy(mesh: Mesh) {
  const { account: username, password } = mesh.connection;
  const transport = await makeTransport(mesh.broker.urls[0]!, { username, password });
  return (topic: string, payload: Uint8Array | string) =>
    transport.publish(topic, typeof payload === 'string' ? Buffer.from(payload) : payload, { qos: 1 });
}

describe('a mesh among enemies', () => {
  let mesh: Mesh;
  let attack: Awaited<ReturnType<typeof makeEnemy>>;
  let jobs = 0;
  let failed: unknown;

  before(async () => {
    mesh = await Mesh.start();
    await mesh.node('bob');
    void mesh.ada.failed.then((error) => {
      failed = error;
    });
    attack = await makeEnemy(mesh);
  });
  after(endAll);

  /** A job that is submitted meanwhile ends right. */
  async function goesOn(): Promise<void> {
    jobs += 1;
    const { outputs, phase, problem } = await mesh.run(`honest-${jobs}`, squares);
    assert.deepEqual([phase, problem, failed], ['done', undefined, undefined]);
    assert.deepEqual(outputs?.main, { encoding: 'json', value: 338_350 });
  }

  const garbled: [string, (mesh: Mesh) => string][] = [
    ['status', ({ topics }) => topics.nodeStatus('mallory')],
    ['metrics', ({ topics }) => topics.nodeMetrics('ada')],
    ['outbox', ({ topics }) => topics.nodeOutbox('bob')],
    ['inbox', ({ topics }) => topics.nodeInbox('bob')],
    ['leader', ({ topics }) => topics.leader()],
    ['cancel', ({ topics }) => topics.jobCancel('owner', 'job')],
    ['queries', ({ topics }) => topics.queryAsk('owner', 'me')],
    ['blobs', ({ topics }) => topics.blobAsk('broker', 'ada')],
    ['raft', ({ topics }) => topics.raft('ada', 'bob')],
    ['answers', ({ topics }) => topics.blobAnswer('broker', 'ada')],
  ];
  for (const [name, topicOf] of garbled) {
    it(`garbage on ${name} is told and ignored`, async () => {
      const topic = topicOf(mesh);
      const before = mesh.events.length;
      for (const [what, payload] of garbage())
        await attack(topic, payload).catch((error: unknown) => assert.fail(`${what}: ${error}`));
      await goesOn();
      if (name === 'blobs' || name === 'answers') return; // holder and blob client tell it elsewhere
      const told = mesh.events
        .slice(before)
        .filter(({ kind, text }) => kind === 'message-refused' && text.startsWith(topic));
      assert.ok(told.length >= 5, `${told.length} events`);
      assert.ok(told.every(({ text }) => text.length <= 1_000));
    });
  }

  it('topics that are almost ours are no matter', async () => {
    const { prefix } = mesh.topics;
    for (const topic of [
      'nodes',
      'nodes/ada',
      'nodes/a.b/status',
      'jobs/owner/x/spec/more',
      'queries/owner/x',
      'leader/x',
      '__proto__',
      'nodes/__proto__/status',
    ]) {
      await attack(prefix + topic, '{}');
    }
    await goesOn();
  });

  it('hostile specs are refused one by one', async () => {
    for (const [what, payload] of hostileSpecs()) {
      const job = `hostile-${what}`;
      await attack(mesh.topics.jobSpec('owner', job), payload);
      const { phase, problem } = await until(`${what} is refused`, () => mesh.state(job));
      assert.equal(phase, 'refused', what);
      assert.ok(
        ['MESH_SPEC_INVALID', 'MESH_MESSAGE_MALFORMED', 'MESH_LIMIT_EXCEEDED', 'MESH_SPEC_CYCLE'].includes(
          problem!.code,
        ),
        problem!.code,
      );
      assert.ok(JSON.stringify(problem).length < 5_000);
    }
    await goesOn();
  });

  it('thousands of junk specs do not keep a good one waiting for good', async function () {
    this.timeout(60_000);
    const junk = Array.from({ length: 10_000 }, (_, n) =>
      attack(mesh.topics.jobSpec('owner', `junk-${n}`), `{"stages":${n}}`),
    );
    await goesOn();
    await Promise.all(junk);
    await until('the last is refused', () => mesh.state('junk-9999'), 50_000);
    assert.equal(mesh.states.size >= 10_000, true);
    await goesOn();
  });

  it('a job with names so long that its results could not be published is no job', async () => {
    const long = 'x'.repeat(64);
    for (const leaf of ['spec', 'cancel'])
      await attack(`${mesh.topics.prefix}jobs/${long}/${long}/${leaf}`, JSON.stringify(squares));
    await goesOn();
  });

  /** What a node itself says: one that has been broken into has its key. */
  async function signedBy(node: string, topic: string, payload: Uint8Array | string): Promise<Uint8Array> {
    const { keyFile } = openHome(join(mesh.directory, node), {});
    const body = typeof payload === 'string' ? Buffer.from(payload) : payload;
    return new Signer((await readKey(keyFile))!, meshIdOf(mesh.connection)).seal(body, topic);
  }

  it('a node under the name of another is not heard, with a seal, with its own, or with none', async () => {
    const topic = mesh.topics.nodeOutbox('bob');
    const inventory = [{ type: 'inventory' as const, request: 0, attempts: [] }];
    const told = async (payload: Uint8Array, text: string) => {
      const before = mesh.events.length;
      await attack(topic, payload);
      await until(text, () => mesh.events.slice(before).some((event) => event.text.includes(text)));
    };
    await told(Buffer.from(envelope('bob', 'x', inventory)), 'the message is not signed');
    await told(
      await signedBy('ada', topic, envelope('bob', 'x', inventory)),
      'the message is not by the node whose key',
    );
    const elsewhere = await signedBy('bob', mesh.topics.nodeInbox('bob'), envelope('bob', 'x', inventory));
    await told(elsewhere, 'the message is not by the node whose key');
    await told(
      await signedBy('bob', topic, envelope('ada', 'x', inventory)),
      'a message of "ada" on the topic of "bob"',
    );
    await goesOn();
  });

  it('nobody leads, or is obeyed, who shows no votes', async () => {
    const before = mesh.events.length;
    const told = (text: string) =>
      until(text, () => mesh.events.slice(before).some((event) => event.text.includes(text)));
    const { publicKey } = (await readKey(openHome(join(mesh.directory, 'bob'), {}).keyFile))!;
    const hint = { v: 1, node: 'bob', bootId: 'x', term: 99, seq: 1, holders: ['nobody'], publicKey };
    await attack(mesh.topics.leader(), await signedBy('bob', mesh.topics.leader(), JSON.stringify(hint)));
    await told('proof: ');
    const statement = voteStatement({ mesh: meshIdOf(mesh.connection), term: 99, candidate: 'bob', voter: 'bob' });
    const signer = new Signer((await readKey(openHome(join(mesh.directory, 'bob'), {}).keyFile))!, publicKey);
    const votes = [{ voter: 'bob', signature: signer.sign(statement) }];
    const proof = { mesh: meshIdOf(mesh.connection), term: 99, candidate: 'bob', votes };
    const claim = JSON.stringify({ ...hint, seq: 2, proof, chain: [] });
    await attack(mesh.topics.leader(), claim);
    await told('the message is not signed');
    await attack(mesh.topics.leader(), await signedBy('bob', mesh.topics.leader(), claim));
    await told('bob is no voter, or has another key');
    const order = envelope('bob', 'x', [{ type: 'inventory-request', request: 1 }], 99);
    await attack(mesh.topics.nodeInbox('bob'), await signedBy('bob', mesh.topics.nodeInbox('bob'), order));
    await goesOn();
    assert.equal(readTrust(openHome(join(mesh.directory, 'bob'), {}).trustFile, meshIdOf(mesh.connection))?.term, 1);
  });

  it('a node that does not vote writes nothing into the log, and is not told what is in it', async () => {
    const topic = mesh.topics.raft('ada', 'bob');
    const heard: string[] = [];
    mesh.client.listen((at) => heard.push(at));
    await mesh.client.subscribe([mesh.topics.raft('bob', 'ada')], 0);
    // Bob has a key that the mesh knows; what he says is what a leader of a later term would say.
    const wire = new RaftWire('boot');
    const append = { type: 'append' as const, term: 99, round: 1, previousIndex: 0, previousTerm: 0, commitIndex: 1 };
    const entries = [{ index: 1, term: 99, configuration: { voters: ['bob'], learners: [] } }];
    const ask = { kind: 'snapshot-ask' as const, index: 0, indexTerm: 0, offset: 0 };
    for (const payload of [...wire.payloadsOf({ ...append, entries }), wire.payloadOf(ask)]) {
      const before = mesh.events.length;
      await attack(topic, await signedBy('bob', topic, payload));
      const isTold = () => mesh.events.slice(before).some(({ text }) => text.includes('bob speaks like a voter'));
      await until('it is told', isTold);
    }
    await goesOn();
    assert.equal(mesh.ada.leads, true);
    assert.equal(mesh.state(`honest-${jobs}`)?.term, 1, 'nobody had to be elected again');
    assert.ok(!heard.includes(mesh.topics.raft('bob', 'ada')), 'no answer');
  });

  it('reports of attempts, tasks and jobs that nobody knows count for nothing, from strangers and from members', async () => {
    const boot = await bootOf('bob');
    for (const [from, bootId] of [
      ['stranger', 'boot'],
      ['bob', 'another-boot'],
      ['bob', boot],
    ] as const) {
      const topic = mesh.topics.nodeOutbox(from);
      const many = Array.from({ length: 512 }, () => attempts()[0]!);
      for (const messages of [...attempts().map((message) => [message]), many]) {
        const payload = envelope(from, bootId, messages);
        await attack(topic, from === 'bob' ? await signedBy(from, topic, payload) : payload);
      }
    }
    await goesOn();
  });

  it('envelopes that come twice and late change nothing', async () => {
    const seen: [string, Uint8Array][] = [];
    const spy = await makeTransport(mesh.broker.urls[0]!, {
      username: mesh.connection.account,
      password: mesh.connection.password,
    });
    spy.listen((topic, payload) => {
      if (seen.length < 200) seen.push([topic, payload.slice()]);
    });
    await spy.subscribe([`${mesh.topics.prefix}nodes/+/inbox`, `${mesh.topics.prefix}nodes/+/outbox`], 1);
    // A leader alone with a job says nothing through the broker: until bob has had a part of one.
    while (seen.length <= 2) await goesOn();
    const before = seen.splice(0);
    for (const [topic, payload] of [...before, ...before]) await attack(topic, payload);
    await goesOn();
  });

  it('orders and hints of a past term are not obeyed', async () => {
    const cancel = envelope('ada', 'old', [{ type: 'inventory-request', request: 1 }], 0);
    await attack(mesh.topics.nodeInbox('bob'), cancel);
    const [publicKey, signature] = ['A'.repeat(43), 'A'.repeat(86)];
    const proof = { mesh: publicKey, term: 0, candidate: 'old', votes: [{ voter: 'old', signature }] };
    const hint = {
      v: 1,
      node: 'old',
      bootId: 'old',
      term: 0,
      seq: 9,
      holders: ['nobody'],
      publicKey,
      proof,
      chain: [],
    };
    await attack(mesh.topics.leader(), JSON.stringify(hint));
    await goesOn();
    const large = await mesh.run('large-after-hint', jobOf('return task.text("x".repeat(70000))'));
    assert.equal(large.phase, 'done', 'blobs go where they went');
  });

  it('a spec of ten megabytes does not pass the broker', async () => {
    const { account: username, password } = mesh.connection;
    const transport = await makeTransport(mesh.broker.urls[0]!, { username, password });
    await assert.rejects(
      transport.publish(mesh.topics.jobSpec('owner', 'huge'), Buffer.alloc(10 * 1024 ** 2, 32), { qos: 1 }),
    );
    await goesOn();
  });

  async function bootOf(node: string): Promise<string> {
    const boots: string[] = [];
    const transport = await makeTransport(mesh.broker.urls[0]!, {
      username: mesh.connection.account,
      password: mesh.connection.password,
    });
    transport.listen((_, payload) =>
      boots.push((JSON.parse(Buffer.from(bodyOf(payload)).toString()) as { bootId: string }).bootId),
    );
    await transport.subscribe([mesh.topics.nodeStatus(node)], 1);
    return until(`${node} has a status`, () => boots[0]);
  }
});

function envelope(from: string, bootId: string, messages: readonly (AttemptMessage | object)[], term = 1): string {
  return JSON.stringify({ v: 1, from, bootId, seq: 1, term, messages });
}
