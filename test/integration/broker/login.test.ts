import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAccount } from '@foremesh/broker';
import { until } from '../../support/until.ts';
import { account, endAll, loginCode, makeBroker, makeClient, makeHome, whenClosed } from './support.ts';

describe('broker: who may come in', () => {
  afterEach(endAll);

  it('lets an account in, by TCP and by WebSocket', async () => {
    const broker = await makeBroker({ webSocket: { port: 0 } });
    assert.equal(await loginCode(broker.urls[0]!, account), 0);
    assert.equal(await loginCode(broker.urls[1]!, account), 0);
    assert.match(broker.urls[1]!, /^ws:\/\/127\.0\.0\.1:\d+\/mqtt$/);
  });

  it('refuses a wrong password and an unknown account with 4, no account with 5, and logs no password', async () => {
    const broker = await makeBroker();
    assert.equal(await loginCode(broker.url, { ...account, password: 'a wrong secret' }), 4);
    assert.equal(await loginCode(broker.url, { username: 'nobody', password: account.password }), 4);
    const anonymous: { username?: string; password?: string } = { username: undefined!, password: undefined! };
    assert.equal(await loginCode(broker.url, anonymous), 5);
    await until('all three are counted', () => broker.statistics().incidents.login === 3);
    const log = JSON.stringify(broker.lines);
    assert.match(log, /wrong account or password for \\"tester\\"/);
    assert.doesNotMatch(log, /a wrong secret|correct horse/);
  });

  it('logs a storm of wrong passwords in a few lines and tells how many it left out', async () => {
    const broker = await makeBroker({ limits: { logLinesPerWindow: 3 } });
    const wrong = Array.from({ length: 20 }, () => loginCode(broker.url, { ...account, password: 'a wrong secret' }));
    assert.deepEqual(new Set(await Promise.all(wrong)), new Set([4]));
    await until('all are counted', () => broker.statistics().incidents.login === 20);
    assert.equal(broker.lines.filter(({ kind }) => kind === 'login').length, 3);
  });

  it('knows a new account, and forgets a removed one together with its connections, without a restart', async () => {
    const broker = await makeBroker({ limits: { accountsCheckMs: 20 } });
    const { password } = await createAccount(broker.home, 'late');
    const { client } = await makeClient(broker.url, { username: 'late', password });
    const stays = await makeClient(broker.url);
    const closed = whenClosed(client);
    const path = join(broker.home, 'accounts.json');
    const file = JSON.parse(await readFile(path, 'utf8')) as { accounts: Record<string, unknown> };
    delete file.accounts.late;
    await writeFile(path, JSON.stringify(file));
    await closed;
    assert.equal(await loginCode(broker.url, { username: 'late', password }), 4);
    await until('it is counted', () => broker.statistics().incidents.accountChanged === 1);
    assert.equal(stays.client.connected, true);
  });

  it('keeps the accounts it knows when the file becomes damaged', async () => {
    const broker = await makeBroker();
    await writeFile(join(broker.home, 'accounts.json'), '{ "v": 1, "acc');
    assert.equal(await loginCode(broker.url, account), 0);
    assert.ok(broker.statistics().incidents.homeFile! > 0);
  });

  it('does not start on a damaged accounts file', async () => {
    const home = await makeHome();
    await writeFile(join(home, 'accounts.json'), '{}');
    await assert.rejects(makeBroker({ home }), { code: 'MESH_CONFIG_INVALID', where: join(home, 'accounts.json') });
  });

  it('gives a client id to who comes with it last, if it is the same account', async () => {
    const broker = await makeBroker();
    const first = await makeClient(broker.url, { clientId: 'node-1' });
    const gone = whenClosed(first.client);
    const second = await makeClient(broker.url, { clientId: 'node-1' });
    await gone;
    await second.client.subscribeAsync('x');
    await second.client.publishAsync('x', 'still here', { qos: 1 });
    await until('the message arrives', () => second.messages.length === 1);

    const { password } = await createAccount(broker.home, 'other');
    assert.equal(await loginCode(broker.url, { username: 'other', password, clientId: 'node-1' }), 2);
    assert.equal(second.client.connected, true);
  });

  it('does not give one account what was queued for another', async () => {
    const broker = await makeBroker();
    const owner = await makeClient(broker.url, { clientId: 'shared', clean: false });
    await owner.client.subscribeAsync('secret', { qos: 1 });
    await owner.client.endAsync();
    const publisher = await makeClient(broker.url);
    await publisher.client.publishAsync('secret', 'for the owner', { qos: 1 });
    const { password } = await createAccount(broker.home, 'other');
    const thief = await makeClient(broker.url, { username: 'other', password, clientId: 'shared', clean: false });
    await thief.client.subscribeAsync('mark', { qos: 1 });
    await publisher.client.publishAsync('secret', 'also for the owner', { qos: 1 });
    await publisher.client.publishAsync('mark', 'end', { qos: 1 });
    await until('the mark arrives', () => thief.messages.some(({ topic }) => topic === 'mark'));
    assert.deepEqual(
      thief.messages.map(({ text }) => text),
      ['end'],
    );
  });
});
