import assert from 'node:assert/strict';
import { pino } from 'pino';
import {
  type Assign,
  bytesOf,
  decode,
  type InboxEnvelope,
  type InboxMessage,
  MeshError,
  type OutboxMessage,
  outboxEnvelope,
  Topics,
  type Transport,
} from '../../../node-runtime/contract/index.ts';
import { AgentDriver } from '../../../node-runtime/shell/agent-driver.ts';
import { CodeGate } from '../../../node-runtime/shell/authors/code-gate.ts';
import { type Home, openHome } from '../../../node-runtime/shell/home.ts';
import { until } from '../../support/until.ts';
import { FakeBlobs } from './fake-blobs.ts';
import { endAll, later, meshError, scratch } from './scratch.ts';

const topics = new Topics('mesh');

describe('AgentDriver', () => {
  let home: Home;
  let blobs: FakeBlobs;
  let reports: OutboxMessage[];
  let fatal: MeshError[];
  let fence: { term: number };
  let diskFails: boolean;
  let isOnline: boolean;
  /** Publishes that the connection takes and then loses. */
  let lost: number;
  let debug: string[];
  beforeEach(async () => {
    home = openHome(await scratch(), {});
    blobs = new FakeBlobs();
    reports = [];
    fatal = [];
    fence = { term: 0 };
    diskFails = false;
    isOnline = true;
    lost = 0;
    debug = [];
  });
  afterEach(endAll);

  async function start(): Promise<AgentDriver> {
    const gate = await CodeGate.open({ home, node: 'bob', trusts: () => [] });
    const transport = {
      publish: async (topic: string, payload: Uint8Array) => {
        if (lost > 0) {
          lost -= 1;
          throw new Error('gone');
        }
        if (topic === topics.nodeOutbox('bob')) reports.push(...decode(outboxEnvelope, payload).messages);
      },
    } as unknown as Transport;
    const driver = new AgentDriver({
      node: 'bob',
      bootId: 'boot',
      home,
      offer: { engines: ['js'], slots: 1, queue: 4, memoryBytes: 1e9, prefetchAttempts: 4, prefetchBytes: 1e6 },
      topics,
      blobs: blobs.client,
      transport: () => (isOnline ? transport : undefined),
      term: fence.term,
      persistTerm: (term) => {
        if (diskFails) throw new MeshError('MESH_STORAGE_FAILED', 'no room');
        fence.term = term;
      },
      gate,
      log: pino({ level: 'debug' }, { write: (line: string) => debug.push(line) }),
      onFatal: (error) => fatal.push(error),
    });
    later(() => driver.close());
    return driver;
  }

  async function assignOf(code: string, n = 1): Promise<Assign> {
    return {
      type: 'assign',
      attempt: `owner/job/main-0#1.${n}`,
      account: 'owner',
      job: 'job',
      stage: 'main',
      task: 'main-0',
      code: { engine: 'js', ...(await blobs.put(bytesOf(code))) },
      input: { kind: 'none' },
      limits: { memoryBytes: 64 * 1024 ** 2, cpuMs: 60_000, wallMs: 60_000, outputBytes: 1e6 },
      inlineOutputBytes: 1_000,
      priority: 5,
    };
  }
  const inbox = (term: number, ...messages: InboxMessage[]) =>
    ({ v: 1, from: 'ada', bootId: 'x', seq: 1, term, messages }) satisfies InboxEnvelope;
  const outcome = (attempt: string) =>
    until(`${attempt} ends`, () =>
      reports.find((each) => (each.type === 'done' || each.type === 'failed') && each.attempt === attempt),
    );

  it('runs what it is given, and tells its outcome again until that is committed, after a restart too', async () => {
    const driver = await start();
    const assign = await assignOf('export default () => 42');
    driver.hear(inbox(1, assign));
    const first = await outcome(assign.attempt);
    assert.deepEqual(first.type === 'done' && first.output, { encoding: 'json', inline: Buffer.from('42') });
    await driver.close();

    const again = await start();
    reports.length = 0;
    again.hear(inbox(1, { type: 'inventory-request', request: 1 }));
    assert.deepEqual(await outcome(assign.attempt), first);
    again.hear(inbox(1, { type: 'committed', attempts: [assign.attempt] }));
    reports.length = 0;
    again.hear(inbox(1, { type: 'inventory-request', request: 2 }));
    await until('the inventory', () => reports.some(({ type }) => type === 'inventory'));
    assert.equal(reports.length, 1);
  });

  it('goes on when a report is lost on its way, and notes it: the leader will ask', async () => {
    const driver = await start();
    lost = 1;
    driver.hear(inbox(1, { type: 'inventory-request', request: 1 }));
    await until('the loss is noted', () =>
      debug.some((line) => line.includes('gone') && line.includes('report not sent')),
    );
    assert.deepEqual(reports, []);
    driver.hear(inbox(1, { type: 'inventory-request', request: 2 }));
    await until('the next inventory', () => reports.some(({ type }) => type === 'inventory'));
    assert.deepEqual(fatal, []);
  });

  it('puts the end of what was logged in a holder, of what fails too; an outcome waits for no holder that is not there', async () => {
    const driver = await start();
    const logs = await assignOf("export default (task) => { task.log('began'); task.log('ended'); return 1 }", 1);
    const fails = await assignOf("export default (task) => { task.log('alas'); throw new Error('no') }", 2);
    const silent = await assignOf('export default () => 1', 3);
    driver.hear(inbox(1, logs, fails, silent));
    const text = async (attempt: string) => {
      const { log } = (await outcome(attempt)) as OutboxMessage & { type: 'done' };
      return log === undefined ? undefined : Buffer.from(blobs.held.get(log.blob)!).toString();
    };
    assert.deepEqual(
      [await text(logs.attempt), await text(fails.attempt), await text(silent.attempt)],
      ['began\nended\n', 'alas\n', undefined],
    );
    const unheard = await assignOf("export default (task) => { task.log('nobody'); return 2 }", 4);
    driver.hear(inbox(1, unheard));
    isOnline = false;
    await until('it has ended', () => !driver.isBusy);
    isOnline = true;
    driver.hear(inbox(1, { type: 'inventory-request', request: 1 }));
    assert.equal(await text(unheard.attempt), undefined);
  });

  it('counts an outcome whose log no holder takes', async () => {
    const driver = await start();
    const logs = await assignOf("export default (task) => { task.log('full'); return 1 }");
    driver.hear(inbox(1, logs));
    blobs.put = async () => {
      throw new MeshError('MESH_LIMIT_EXCEEDED', 'the holder is full');
    };
    const ended = await outcome(logs.attempt);
    assert.deepEqual([ended.type, 'log' in ended], ['done', false]);
  });

  it('runs once what is assigned twice, and lets go what is cancelled and assigned again in one breath', async () => {
    const driver = await start();
    const assign = await assignOf('export default () => 1');
    driver.hear(inbox(1, assign, assign));
    driver.hear(inbox(1, assign));
    await outcome(assign.attempt);
    assert.equal(reports.filter(({ type }) => type === 'done').length, 1);
    const spins = await assignOf('export default async () => { for (;;) await null }', 2);
    const cancel: InboxMessage = { type: 'cancel', attempt: spins.attempt, reason: 'no more' };
    driver.hear(inbox(1, spins));
    await until('it runs', () => reports.some((each) => each.type === 'started' && each.attempt === spins.attempt));
    driver.hear(inbox(1, cancel, spins, cancel));
    driver.hear(inbox(1, spins));
    driver.hear(inbox(1, cancel));
    const last = await assignOf('export default () => 3', 3);
    driver.hear(inbox(1, last));
    assert.equal((await outcome(last.attempt)).type, 'done');
  });

  it('refuses what it did not offer, and code that no holder has', async () => {
    const driver = await start();
    const alien = { ...(await assignOf('1', 4)), code: { ...(await assignOf('1')).code, engine: 'wasm' as const } };
    const missing = await assignOf('gone', 5);
    blobs.held.clear();
    driver.hear(inbox(1, alien, missing));
    const shown = await Promise.all(
      [alien, missing].map(async ({ attempt }) => (await outcome(attempt)) as { code?: string; fault?: string }),
    );
    assert.deepEqual(
      shown.map(({ code, fault }) => `${code} ${fault}`),
      ['MESH_ENGINE_UNKNOWN node', 'MESH_BLOB_MISSING node'],
    );
  });

  it('has the fence on disk before it answers, and obeys no term below it, after a restart too', async () => {
    const driver = await start();
    driver.hear(inbox(7));
    assert.equal(fence.term, 7);
    driver.hear(inbox(6, { type: 'inventory-request', request: 1 }));
    await driver.close();
    const again = await start();
    again.hear(inbox(6, { type: 'inventory-request', request: 1 }));
    again.hear(inbox(7, { type: 'inventory-request', request: 2 }));
    await until('an answer', () => reports.length > 0);
    const [{ clockMs, ...report }, ...more] = reports as [OutboxMessage & { type: 'inventory' }];
    assert.deepEqual([report, ...more], [{ type: 'inventory', request: 2, attempts: [] }]);
    assert.ok(Math.abs(Date.now() - clockMs!) < 60_000, 'and tells its clock');
  });

  it('ends, and obeys nothing more, when the fence cannot be written', async () => {
    const driver = await start();
    diskFails = true;
    const order = inbox(7, { type: 'inventory-request', request: 1 });
    assert.throws(() => driver.hear(order), meshError('MESH_STORAGE_FAILED'));
    driver.hear(order);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([reports, fatal.map(({ code }) => code)], [[], ['MESH_STORAGE_FAILED']]);
  });
});
