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
      sessions: { size: sessions },
      admit: ({ retain }: { retain: boolean }) =>
        retain ? new Promise<void>((resolve, reject) => writes.push({ resolve, reject })) : undefined,
    };
    const begun: string[] = [];
    const parts = {
      persistence,
      begin: ({ payload }: { payload: Buffer }) => begun.push(`${payload}`),
      limits: brokerLimits,
      incidents: new Incidents(undefined, 1, 1),
      outstanding: () => 0,
    };
    const { authorizePublish } = new Admission(parts as unknown as AdmissionParts).hooks();
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
    return { writes, begun, admitted, publish, settle };
  }
  const makeClient = (closed = false) => ({ closed }) as unknown as Client;

  it('acknowledges a message only once it is stored, and later ones after it; delivers them as they come', async () => {
    const { writes, begun, admitted, publish, settle } = makeAdmission();
    const client = makeClient();
    publish(client, 'free', false);
    assert.deepEqual(admitted, ['free']);
    publish(client, 'first', true);
    publish(client, 'second', true);
    publish(client, 'third', false);
    publish(makeClient(), 'another client', false);
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

  it('delivers nothing ahead of the store while somebody has a queue: it would come twice', () => {
    const { begun, admitted, publish } = makeAdmission(1);
    publish(makeClient(), 'free', false);
    publish(makeClient(), 'kept', true);
    assert.deepEqual([begun, admitted], [[], ['free']]);
  });

  it('refuses a message that could not be stored', async () => {
    const { writes, admitted, publish, settle } = makeAdmission();
    publish(makeClient(), 'lost', true);
    writes[0]!.reject(new Error('no space left'));
    await settle();
    assert.deepEqual(admitted, ['lost: no space left']);
  });

  it('lets a will through at once, and none on a forbidden topic', () => {
    const { writes, begun, admitted, publish } = makeAdmission();
    publish(makeClient(true), 'will', true);
    publish(null, 'orphan', true);
    publish(null, '+', true);
    assert.deepEqual([writes.length, begun.length], [0, 0]);
    assert.deepEqual(admitted, ['will', 'orphan', '+: a topic to publish to has no wildcards']);
  });
});
