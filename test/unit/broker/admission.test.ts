import assert from 'node:assert/strict';
import { Admission, type AdmissionParts } from '../../../broker/admission.ts';
import { brokerLimits } from '../../../broker/limits.ts';
import { Incidents } from '../../../broker/log.ts';

type Client = NonNullable<Parameters<AdmissionParts['outstanding']>[0]>;

describe('broker admission', () => {
  /** A store whose every write is finished by hand. */
  function makeAdmission(sessions = 0) {
    const writes: { resolve: () => void; reject: (error: Error) => void }[] = [];
    const persistence = {
      sessions: { size: sessions, owner: () => undefined, filters: () => [] },
      admit: ({ retain }: { retain: boolean }) =>
        retain ? new Promise<void>((resolve, reject) => writes.push({ resolve, reject })) : undefined,
    };
    const begun: string[] = [];
    const accounts = {
      refresh: async () => false,
      verify: async () => 'right',
      version: () => '1',
      roleOf: (name: string) => (name === 'ann' ? 'author' : 'owner'),
    };
    const parts = {
      accounts,
      connections: { remote: () => 'here', socket: () => undefined },
      clientOf: () => undefined,
      persistence,
      begin: ({ payload }: { payload: Buffer }) => begun.push(`${payload}`),
      limits: brokerLimits,
      incidents: new Incidents(undefined, 1, 1),
      outstanding: () => 0,
    };
    const hooks = new Admission(parts as unknown as AdmissionParts).hooks();
    const { authorizePublish } = hooks;
    /** A client that has logged in. */
    const makeClient = async (account = 'owner', closed = false) => {
      const client = { id: 'c', closed } as unknown as Client;
      const refusal = await new Promise((done) => hooks.authenticate(client, account, Buffer.from('secret'), done));
      assert.equal(refusal, null);
      return client;
    };
    const admitted: string[] = [];
    const publish = (client: Client | null, name: string, retain: boolean) => {
      const packet = {
        cmd: 'publish',
        topic: `t/${name}`,
        payload: Buffer.from(name),
        qos: 1,
        dup: false,
        retain,
      } as const;
      authorizePublish(client, packet, (error) => admitted.push(error ? `${name}: ${error.message}` : name));
    };
    const settle = () => new Promise((resolve) => setImmediate(resolve));
    return { hooks, writes, begun, admitted, publish, settle, makeClient };
  }

  it('acknowledges a message only once it is stored, and later ones after it; delivers them as they come', async () => {
    const { writes, begun, admitted, publish, settle, makeClient } = makeAdmission();
    const client = await makeClient();
    publish(client, 'free', false);
    assert.deepEqual(admitted, ['free']);
    publish(client, 'first', true);
    publish(client, 'second', true);
    publish(client, 'third', false);
    publish(await makeClient(), 'another client', false);
    assert.deepEqual(begun, ['free', 'first', 'second', 'third', 'another client']);
    writes[1]!.resolve();
    await settle();
    assert.deepEqual(admitted, ['free', 'another client']);
    writes[0]!.resolve();
    await settle();
    assert.deepEqual(admitted, ['free', 'another client', 'first', 'second', 'third']);
    publish(client, 'free again', false);
    assert.equal(admitted.at(-1), 'free again');
  });

  it('delivers nothing ahead of the store while somebody has a queue: it would come twice', async () => {
    const { begun, admitted, publish, makeClient } = makeAdmission(1);
    publish(await makeClient(), 'free', false);
    publish(await makeClient(), 'kept', true);
    assert.deepEqual([begun, admitted], [[], ['free']]);
  });

  it('refuses a message that could not be stored', async () => {
    const { writes, admitted, publish, settle, makeClient } = makeAdmission();
    publish(await makeClient(), 'lost', true);
    writes[0]!.reject(new Error('no space left'));
    await settle();
    assert.deepEqual(admitted, ['lost: no space left']);
  });

  it('lets a will through at once, and none on a forbidden topic', async () => {
    const { hooks, writes, begun, admitted, publish, makeClient } = makeAdmission();
    const client = await makeClient('owner', true);
    const will = {
      cmd: 'publish',
      topic: 't/will',
      payload: Buffer.from('will'),
      qos: 1,
      dup: false,
      retain: true,
    } as const;
    hooks.preConnect(client, { clientId: 'c', clean: true, will } as never, () => undefined);
    hooks.authorizePublish(client, will, (error) => admitted.push(error ? `will: ${error.message}` : 'will'));
    publish(client, 'behind', true);
    publish(null, 'orphan', true);
    publish(null, '+', true);
    assert.deepEqual([writes.length, begun.length], [0, 0]);
    assert.deepEqual(admitted, ['will', 'behind: it has gone', 'orphan', '+: a topic to publish to has no wildcards']);
  });

  it('takes nothing from one who has not logged in, and from an author only what is its own', async () => {
    const { begun, admitted, publish, makeClient } = makeAdmission();
    publish({ id: 'c', closed: false, conn: {} } as unknown as Client, 'stranger', false);
    publish(await makeClient('ann'), 'author', false);
    assert.deepEqual(begun, []);
    assert.deepEqual(admitted, [
      'stranger: one who has not logged in may not write t/stranger',
      'author: account "ann" (author) may not write t/author',
    ]);
  });

  it('delivers to an author only what is its own, whatever its session was subscribed to', async () => {
    const { hooks, makeClient } = makeAdmission();
    const client = Object.assign(await makeClient('ann'), { conn: { writableLength: 0 }, subscriptions: {} });
    const delivered = (topic: string) =>
      hooks.authorizeForward(client, { cmd: 'publish', topic, payload: Buffer.from('x'), qos: 0 } as never) !== null;
    assert.equal(delivered('foremesh/v1/home/jobs/ann/j/state'), true);
    assert.equal(delivered('foremesh/v1/home/jobs/bob/j/state'), false);
  });
});
