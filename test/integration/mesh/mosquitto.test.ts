import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { Topics } from '@foremesh/node-runtime/contract';
import { skipWithout } from '../../support/skip.ts';
import { until } from '../../support/until.ts';
import { Fleet } from './fleet.ts';

const run = promisify(execFile);

describe('any MQTT client', function () {
  this.timeout(60_000);
  let fleet: Fleet;
  let login: string[];
  let topics: Topics;
  before(async function () {
    skipWithout(this, 'mosquitto_pub', 'mosquitto-clients');
    fleet = await Fleet.start();
    await fleet.startNode('bob');
    const { port, account, password, mesh } = fleet.connection;
    login = ['-p', String(port), '-u', account, '-P', password];
    topics = new Topics(mesh);
  });
  after(() => fleet?.stop());

  const publish = (topic: string, message: string, ...more: string[]) =>
    run('mosquitto_pub', [...login, '-q', '1', '-t', topic, '-m', message, ...more]);

  /** The first message on a topic that `wanted` takes. */
  async function read(topic: string, wanted: (message: string) => boolean = () => true): Promise<string> {
    const reader = spawn('mosquitto_sub', [...login, '-q', '1', '-t', topic, '-F', '%p']);
    try {
      for await (const chunk of reader.stdout)
        for (const line of String(chunk).split('\n')) if (line !== '' && wanted(line)) return line;
    } finally {
      reader.kill();
      if (reader.exitCode === null && reader.signalCode === null) await once(reader, 'close');
    }
    throw new Error(`nothing on ${topic}`);
  }

  const words = {
    stages: {
      count: {
        code: {
          inline:
            'export default async (task) => { const n = {}; for await (const w of task.input) n[w] = (n[w] ?? 0) + 1; return n }',
        },
        input: { inline: 'pear\r\napple\npear\nfig' },
        split: { by: 'lines', chunks: 3 },
      },
      total: {
        needs: ['count'],
        code: {
          inline:
            'export default ({ needs }) => { const n = {}; for (const part of needs.count) for (const w in part) n[w] = (n[w] ?? 0) + part[w]; return n }',
        },
      },
    },
  };

  it('submits a job with mosquitto_pub and reads its result with mosquitto_sub', async () => {
    await publish(topics.jobSpec('owner', 'words'), JSON.stringify(words));
    const result = JSON.parse(await read(topics.jobResult('owner', 'words')));
    assert.equal(result.phase, 'done');
    assert.deepEqual(result.outputs, { total: { encoding: 'json', value: { apple: 1, fig: 1, pear: 2 } } });
    const state = JSON.parse(await read(topics.jobState('owner', 'words')));
    assert.equal(state.phase, 'done');
  });

  it('finds a spec that was published, retained, while nobody led', async () => {
    await fleet.nodes.get('ada')!.kill('SIGKILL');
    await publish(topics.jobSpec('owner', 'early'), JSON.stringify(words), '-r');
    await fleet.startNode('ada');
    assert.equal(JSON.parse(await read(topics.jobResult('owner', 'early'))).phase, 'done');
    const spec = [...login, '-t', topics.jobSpec('owner', 'early'), '-C', '1', '-W', '1'];
    // It ends with an error when nothing came within a second: then nothing is retained.
    const isRetained = () =>
      run('mosquitto_sub', spec).then(
        () => true,
        () => false,
      );
    await until('the accepted spec is no longer retained', async () => !(await isRetained()));
  });

  it('tells what is wrong with a spec, and where', async () => {
    const reading = read(topics.jobState('owner', 'wrong'));
    const broken = JSON.stringify({ stages: { a: { code: { inline: 'export default () => 1' }, retrys: 3 } } });
    let refused: string | undefined;
    void reading.then((line) => {
      refused = line;
    });
    // A refusal is not retained: say it again until the reader has its subscription.
    while (refused === undefined) await publish(topics.jobSpec('owner', 'wrong'), broken);
    const state = JSON.parse(refused);
    assert.equal(state.phase, 'refused');
    assert.equal(state.problem.code, 'MESH_SPEC_INVALID');
    assert.match(state.problem.message, /retrys/);
    assert.equal(state.problem.where, 'stages.a');
  });

  it('cancels with mosquitto_pub', async () => {
    const endless = { stages: { a: { code: { inline: 'export default () => { for (;;); }' } } } };
    await publish(topics.jobSpec('owner', 'endless'), JSON.stringify(endless));
    await read(topics.jobState('owner', 'endless'), (line) => JSON.parse(line).phase === 'running');
    await publish(topics.jobCancel('owner', 'endless'), '{"reason":"enough"}');
    const result = JSON.parse(await read(topics.jobResult('owner', 'endless')));
    assert.equal(result.phase, 'cancelled');
    assert.equal(result.problem.message, 'enough');
  });
});
