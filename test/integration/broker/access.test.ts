import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { createAccount } from '@foremesh/broker';
import { decode, encode, queryAnswer, Topics } from '@foremesh/node-runtime/contract';
import type { IClientOptions } from 'mqtt';
import { removeAccount } from '../../../broker/account-file.ts';
import { until } from '../../support/until.ts';
import { endAll, loginCode, makeBroker, makeClient, type TestBroker, whenClosed } from './support.ts';

const topics = new Topics('home');

describe('broker: what an account may do', () => {
  afterEach(endAll);

  async function account(broker: TestBroker, name: string, role: 'owner' | 'author' | 'viewer') {
    const { password } = await createAccount(broker.home, name, undefined, role);
    return { username: name, password };
  }
  const author = async (broker: TestBroker, more: IClientOptions = {}) =>
    makeClient(broker.url, { ...(await account(broker, 'ann', 'author')), ...more });
  const subscribe = (client: Awaited<ReturnType<typeof makeClient>>['client'], filters: string[]) =>
    new Promise<number[]>((resolve) =>
      // Some refused is an error for this client library, with the broker's answer beside it.
      client.subscribe(filters, { qos: 1 }, (_error, _granted, packet) => resolve(packet!.granted as number[])),
    );

  it('grants an author its own topics, and refuses others with 128 and a line in the log', async () => {
    const broker = await makeBroker();
    const { client, messages } = await author(broker);
    const own = topics.jobState('ann', 'j');
    const granted = await subscribe(client, [own, topics.jobState('bob', 'j'), '#', topics.leader()]);
    assert.deepEqual(granted, [1, 128, 128, 1]);
    const filters = broker.lines.filter(({ kind }) => kind === 'access').map(({ filter }) => filter);
    assert.deepEqual(filters, [topics.jobState('bob', 'j'), '#']);
    assert.match(JSON.stringify(broker.lines), /account \\"ann\\" \(author\) may not read #/);
    const { client: owner } = await makeClient(broker.url);
    for (const topic of [topics.jobState('bob', 'j'), topics.nodeInbox('pi'), own])
      await owner.publishAsync(topic, 'told', { qos: 1 });
    await until('its own arrives', () => messages.length === 1);
    assert.equal(messages[0]!.topic, own);
  });

  it('ends the connection of an author that writes for another, and delivers nothing of it', async () => {
    const broker = await makeBroker();
    const owner = await makeClient(broker.url);
    await owner.client.subscribeAsync('foremesh/#', { qos: 1 });
    const { client } = await author(broker);
    await client.publishAsync(topics.jobSpec('ann', 'j'), 'mine', { qos: 1 });
    const closed = whenClosed(client);
    client.publish(topics.jobSpec('bob', 'j'), 'not mine', { qos: 1, retain: true });
    await closed;
    await owner.client.publishAsync(topics.events(), 'end', { qos: 1 });
    await until('the end arrives', () => owner.messages.some(({ text }) => text === 'end'));
    assert.deepEqual(
      owner.messages.map(({ text }) => text),
      ['mine', 'end'],
    );
    assert.equal(broker.statistics().retainedMessages, 0);
    const line = broker.lines.find(({ kind }) => kind === 'access');
    assert.match(String(line?.reason), /account "ann" \(author\) may not write .*jobs\/bob\/j\/spec/);
    assert.equal(line?.account, 'ann');
  });

  it('takes nothing of what an author sent behind that which ended its connection', async () => {
    const broker = await makeBroker();
    const owner = await makeClient(broker.url);
    await owner.client.subscribeAsync('foremesh/#', { qos: 1 });
    const who = await account(broker, 'ann', 'author');
    const options = { ...who, clean: false, clientId: 'kept' };
    const { client } = await makeClient(broker.url, options);
    // What is restored with a session makes the end of a connection slower than the packets that wait behind its CONNECT.
    await client.subscribeAsync(topics.jobState('ann', '+'), { qos: 1 });
    await client.endAsync();
    const { generate } = await import('mqtt-packet');
    const login = { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: false, keepalive: 0 } as const;
    const connect = generate({ ...login, clientId: 'kept', username: 'ann', password: Buffer.from(who.password) });
    for (const qos of [0, 1, 2] as const) {
      const forbidden = ['one', 'two', 'three'].map((payload, at) =>
        generate({ cmd: 'publish', topic: topics.leader(), payload, qos, retain: true, dup: false, messageId: at + 1 }),
      );
      const socket = connectTcp(Number(new URL(broker.url).port), '127.0.0.1');
      socket.on('error', () => undefined);
      socket.resume().write(Buffer.concat([connect, ...forbidden]));
      await once(socket, 'close');
    }
    await owner.client.publishAsync(topics.events(), 'end', { qos: 1 });
    await until('the end arrives', () => owner.messages.some(({ text }) => text === 'end'));
    assert.deepEqual(
      owner.messages.map(({ text }) => text),
      ['end'],
    );
    assert.equal(broker.statistics().retainedMessages, 0);
  });

  it('answers in the place of the leader when an author asks for a change', async () => {
    const broker = await makeBroker();
    const owner = await makeClient(broker.url);
    await owner.client.subscribeAsync('foremesh/v1/+/queries/+/+/change', { qos: 1 });
    const { client, messages } = await author(broker);
    await client.subscribeAsync(topics.queryAnswer('ann', 'me'), { qos: 1 });
    const ask = Buffer.from(encode({ v: 1, id: 'q7', query: 'set-voters', settings: { count: 1 } }, 'json'));
    await client.publishAsync(topics.queryChange('ann', 'me'), ask, { qos: 1, retain: true });
    await until('the answer arrives', () => messages.length === 1);
    const answer = decode(queryAnswer, Buffer.from(messages[0]!.text));
    assert.equal(answer.query === 'error' && answer.problem.code, 'MESH_NOT_AUTHORIZED');
    assert.equal(answer.id, 'q7');
    assert.equal(client.connected, true);
    assert.deepEqual([owner.messages.length, broker.statistics().retainedMessages], [0, 0]);
    // Into another's answers it cannot speak so.
    await owner.client.subscribeAsync(topics.queryAnswer('tester', 'me'), { qos: 1 });
    const closed = whenClosed(client);
    client.publish(topics.queryChange('tester', 'me'), ask, { qos: 1 });
    await closed;
    await owner.client.publishAsync(topics.queryChange('tester', 'me'), ask, { qos: 1 });
    await until("the owner's own passes", () => owner.messages.length === 1);
    assert.equal(owner.messages[0]!.topic, topics.queryChange('tester', 'me'));
  });

  it('refuses a last will that an author could not publish itself', async () => {
    const broker = await makeBroker();
    const login = await account(broker, 'ann', 'author');
    const will = (topic: string) => ({
      ...login,
      will: { topic, payload: Buffer.from('x'), qos: 1 as const, retain: true },
    });
    assert.equal(await loginCode(broker.url, will(topics.leader())), 5);
    assert.equal(await loginCode(broker.url, will(topics.jobCancel('ann', 'j'))), 0);
  });

  it('drops a connection whose account gets another role, and what its session may no longer read', async () => {
    const broker = await makeBroker({ limits: { accountsCheckMs: 3_600_000 } });
    const login = await account(broker, 'ann', 'owner');
    const before = await makeClient(broker.url, { ...login, clientId: 'c', clean: false });
    await before.client.subscribeAsync([topics.jobState('bob', 'j'), topics.jobState('ann', 'j')], { qos: 1 });
    const closed = whenClosed(before.client);
    await createAccount(broker.home, 'ann', login.password, 'author');
    await closed; // the file is watched: the timer of this broker comes in an hour
    const owner = await makeClient(broker.url);
    await owner.client.publishAsync(topics.jobState('bob', 'j'), 'secret', { qos: 1 });
    assert.equal(broker.statistics().queuedMessages, 1);
    const after = await makeClient(broker.url, { ...login, clientId: 'c', clean: false });
    assert.equal(broker.statistics().queuedMessages, 0);
    await after.client.subscribeAsync(topics.leader(), { qos: 1 });
    await owner.client.publishAsync(topics.jobState('bob', 'j'), 'secret too', { qos: 1 });
    await owner.client.publishAsync(topics.leader(), 'end', { qos: 1 });
    await until('the end arrives', () => after.messages.length > 0);
    assert.deepEqual(
      after.messages.map(({ text }) => text),
      ['end'],
    );
  });

  it('gives an account that is made anew nothing that waited for the one of its name before', async () => {
    const broker = await makeBroker({ limits: { accountsCheckMs: 3_600_000 } });
    const login = await account(broker, 'ann', 'author');
    const before = await makeClient(broker.url, { ...login, clientId: 'c', clean: false });
    await before.client.subscribeAsync(topics.jobState('ann', 'j'), { qos: 1 });
    const closed = whenClosed(before.client);
    await removeAccount(broker.home, 'ann');
    await closed;
    assert.equal(broker.statistics().sessions, 0);
    assert.equal(await loginCode(broker.url, login), 4);
  });

  it('keeps in a session only what was granted', async () => {
    const broker = await makeBroker();
    const { client } = await author(broker, { clientId: 'c', clean: false });
    assert.deepEqual(await subscribe(client, ['foremesh/#', topics.jobState('ann', 'j')]), [128, 1]);
    const owner = await makeClient(broker.url);
    await client.endAsync();
    await owner.client.publishAsync(topics.jobState('bob', 'j'), 'secret', { qos: 1 });
    await owner.client.publishAsync(topics.jobState('ann', 'j'), 'mine', { qos: 1 });
    assert.equal(broker.statistics().queuedMessages, 1);
  });
});
