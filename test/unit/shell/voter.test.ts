import assert from 'node:assert/strict';
import { mock } from 'node:test';
import type { Forecaster } from '@foremesh/models';
import { limits } from '@foremesh/node-runtime/contract';
import { pino } from 'pino';
import { hasMoreToLearn, type LedgerCommand, type LogEntry, raftProfiles } from '../../../node-runtime/core/index.ts';
import { LogStore } from '../../../node-runtime/shell/voter/log-store.ts';
import { planningPolicy } from '../../../node-runtime/shell/voter/policy.ts';
import { Voter, type VoterOptions } from '../../../node-runtime/shell/voter/voter.ts';
import { until } from '../../support/until.ts';
import { sample } from '../core/foreseeing.ts';
import { nodeStatus } from '../core/samples.ts';
import { endAll, later, scratch } from './scratch.ts';

async function open(
  logDirectory: string,
  founders: readonly string[],
  change: Partial<VoterOptions> = {},
): Promise<Voter> {
  const voter = await Voter.open({
    id: 'ada',
    bootId: 'boot',
    holders: ['broker'],
    founders,
    profile: raftProfiles.lan,
    publicKey: 'A'.repeat(43),
    policy: planningPolicy,
    logDirectory,
    log: pino({ level: 'silent' }),
    perform: () => undefined,
    sendRaft: () => undefined,
    fetchSnapshot: () => undefined,
    onFatal: (error) => assert.fail(error),
    ...change,
  });
  later(() => voter.close());
  return voter;
}

describe('Voter', () => {
  afterEach(async () => {
    mock.restoreAll();
    await endAll();
  });

  it('goes on when its log has grown large and no snapshot can be made yet', async () => {
    const voter = await open(await scratch(), []);
    await voter.start();
    let looks = 0;
    const large = () => {
      looks += 1;
      assert.ok(looks < 100, 'it asks for a snapshot again and again, and does nothing else');
      return 1024 ** 3;
    };
    mock.getter(LogStore.prototype, 'segmentBytes', large);
    // It has read nothing yet: its snapshot could not say who votes.
    voter.feed({ type: 'suspected', node: 'bob' });
    voter.feed({ type: 'suspected', node: 'bob' });
    assert.ok(looks >= 2, String(looks));
  });

  it('hears the others when it starts in the middle of a change to itself alone', async () => {
    const directory = await scratch();
    const { store } = await LogStore.open(directory);
    const joint = { voters: ['ada'], outgoing: ['ada', 'bob', 'cyd'], learners: [] };
    const log: LogEntry<LedgerCommand>[] = [
      { index: 1, term: 1 },
      { index: 2, term: 1, configuration: joint },
    ];
    await store.persist({ term: 1 }, log);
    await store.close();
    const voter = await open(directory, ['ada']);
    // Alone it cannot win: it is ready to hear the others. One that waited for itself would never be.
    await voter.start();
    assert.equal(voter.isElected, false);
  });

  it('learns a long past between its rounds, and rests for as long as each piece takes', async () => {
    const stepMs = 60_000;
    const steps = 20 * limits.forecastStepsPerTick;
    const observeMs = 0.1;
    let learned = 0;
    const forecaster: Forecaster = {
      model: 'slow',
      observe: () => {
        const fromMs = performance.now();
        while (performance.now() < fromMs + observeMs);
        learned += 1;
      },
      forecast: () => ({ intervalMs: stepMs, q10: [], q50: [], q90: [] }),
    };
    const voter = await open(await scratch(), ['ada'], {
      policy: { ...planningPolicy, createForesight: () => ({ open: () => forecaster }) },
      perform: (effect) => {
        if (effect.type !== 'send' || effect.message.type !== 'history-request') return;
        const { request, resolution } = effect.message;
        const agesMs = Array.from({ length: resolution === '1m' ? steps : 0 }, (_, index) => (steps - index) * stepMs);
        const values = { cpuBackgroundShare: agesMs.map(() => 0.5) };
        const page = { agesMs, values, runs: [], intervalMs: stepMs, diskBytesMost: 1, writtenBytes: 1 };
        const messages = [{ type: 'history' as const, request, page }];
        setImmediate(() => voter.feed({ type: 'node-reported', node: 'bob', bootId: 'bob-1', messages }));
      },
    });
    const pieces: { readonly fromMs: number; readonly toMs: number; readonly values: number }[] = [];
    const feed = voter.feed.bind(voter);
    voter.feed = (event) => {
      const [fromMs, before] = [performance.now(), learned];
      feed(event);
      if (event.type === 'study') pieces.push({ fromMs, toMs: performance.now(), values: learned - before });
    };
    await voter.start();
    voter.feed({ type: 'connected' });
    voter.feed({ type: 'status-heard', status: nodeStatus('bob'), admitted: true });
    await until('its key is in the log', () => voter.planner.nodes.has('bob'));
    const metrics = {
      v: 1 as const,
      node: 'bob',
      bootId: 'bob-1',
      seq: 1,
      samples: [sample(stepMs, 0.5), sample(0, 0.5)],
    };
    voter.feed({ type: 'node-metrics', metrics });
    await until('it learns', () => learned > 0);
    await until('all is learned', () => !hasMoreToLearn(voter.planner));
    assert.ok(learned >= 4 * (steps - 2 * limits.forecastStepsPerTick), `${learned} values`);
    assert.ok(pieces.some(({ values }) => values > 0));
    for (const [index, { fromMs, toMs, values }] of pieces.entries()) {
      assert.ok(values <= 4 * limits.forecastStepsBetweenTicks, `${values} values at once`);
      const restMs = (pieces[index + 1]?.fromMs ?? Number.POSITIVE_INFINITY) - toMs;
      assert.ok(restMs >= toMs - fromMs, `${restMs} ms of rest after ${toMs - fromMs}`);
    }
  });
});
