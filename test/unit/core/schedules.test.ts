import assert from 'node:assert/strict';
import { limits, type Schedule } from '@foremesh/node-runtime/contract';
import {
  applyCommand,
  jobStateOf,
  type LedgerCommand,
  occurrenceId,
  type PlannerEffect,
} from '@foremesh/node-runtime/core';
import { occurrencesOf } from '@foremesh/partitioner/occurrences';
import { assigned, done, Leader, nodeStatus, planOf, stagePlan } from './samples.ts';

const minutes = (count: number) => count * 60_000;
const every = (change: Partial<Schedule> = {}): Schedule => {
  return { cron: '* * * * *', timezone: 'UTC', catchUp: 'none', overlap: 'allow', ...change };
};
const spec = (change: Partial<Schedule> = {}) => ({ ...planOf(stagePlan('s')), schedule: every(change) });
/** Ten seconds past a minute. */
const startMs = Date.UTC(2026, 5, 1, 12, 0, 10);

function leader(wallStartMs = startMs): Leader {
  const made = new Leader({ nodeSilenceMs: minutes(1_000), inventoryIntervalMs: minutes(1_000) });
  made.wallStartMs = wallStartMs;
  made.elect();
  made.join('ada', { slots: 8 });
  return made;
}

const tick = (made: Leader, afterMs: number) => made.step({ type: 'tick' }, afterMs);
const stateOf = (made: Leader, job: string) => jobStateOf(made.planner, made.planner.ledger.jobs.get(`me/${job}`)!);
const occurrences = (made: Leader) =>
  [...made.planner.ledger.jobs.values()].flatMap(({ occurrence, job }) => (occurrence === undefined ? [] : [job]));
const kinds = (effects: readonly PlannerEffect[]) =>
  effects.flatMap((each) => (each.type === 'event' ? [each.event.kind] : []));

describe('planner: schedules', () => {
  it('make a job of each occurrence, once, and run it', () => {
    const made = leader();
    made.submit('nightly', spec());
    tick(made, 250);
    assert.equal(stateOf(made, 'nightly').phase, 'scheduled');
    assert.equal(stateOf(made, 'nightly').schedule?.nextMs, Date.UTC(2026, 5, 1, 12, 1));
    const effects = [...tick(made, 50_000), ...tick(made, 250), ...tick(made, 250)];
    const id = 'nightly-20260601T120100Z';
    assert.deepEqual(
      assigned(effects).map(({ attempt }) => attempt.split('#')[0]),
      [`me/${id}/s-0`],
    );
    made.report('ada', [done(assigned(effects)[0]!.attempt)]);
    assert.equal(stateOf(made, id).phase, 'done');
    assert.deepEqual(stateOf(made, id).occurrence, { schedule: 'nightly', atMs: Date.UTC(2026, 5, 1, 12, 1) });
    const { started, latest, nextMs } = stateOf(made, 'nightly').schedule!;
    assert.deepEqual({ started, latest, nextMs }, { started: 1, latest: id, nextMs: Date.UTC(2026, 5, 1, 12, 2) });
  });

  it('start none of what is on its way into the log a second time', () => {
    const made = leader();
    made.submit('nightly', spec());
    tick(made, 250);
    made.holds = true;
    tick(made, 60_000);
    tick(made, 250);
    const proposed = made.proposed.filter(({ type }) => type === 'start-occurrence');
    assert.equal(proposed.length, 1);
    // What was lost with its leader is proposed by the next.
    made.proposed.length = 0;
    made.holds = false;
    made.step({ type: 'deposed' });
    made.elect(2);
    made.join('ada', { slots: 8 });
    tick(made, 250);
    assert.deepEqual(occurrences(made), ['nightly-20260601T120100Z']);
  });

  for (const catchUp of ['none', 'one'] as const) {
    it(`after three hours without a leader, catch up ${catchUp}`, () => {
      const made = leader();
      made.submit('nightly', spec({ cron: '0 * * * *', catchUp }));
      tick(made, 250);
      made.step({ type: 'deposed' });
      made.nowMs += minutes(210); // 15:30
      made.elect(2);
      made.join('ada', { slots: 8 });
      const effects = tick(made, 250);
      assert.deepEqual(occurrences(made), catchUp === 'one' ? ['nightly-20260601T150000Z'] : []);
      if (catchUp === 'none') assert.deepEqual(kinds(effects), ['occurrence-skipped']);
      assert.equal(stateOf(made, 'nightly').schedule?.nextMs, Date.UTC(2026, 5, 1, 16));
      tick(made, minutes(30));
      assert.equal(occurrences(made).at(-1), 'nightly-20260601T160000Z');
    });
  }

  it('catch up all of what is late by less than a minute', () => {
    const made = leader();
    made.submit('often', spec({ cron: '*/10 * * * * *' }));
    tick(made, 250);
    tick(made, 45_000);
    assert.equal(occurrences(made).length, 4);
  });

  it('leave out what would run beside the one before, if that is not wanted', () => {
    const made = leader();
    made.submit('nightly', spec({ overlap: 'skip' }));
    tick(made, 250);
    const [first] = assigned(tick(made, minutes(1)));
    assert.deepEqual(kinds(tick(made, minutes(1))), ['occurrence-skipped']);
    assert.match(stateOf(made, 'nightly').schedule!.lastSkipped!.reason, /overlap is skip/);
    made.report('ada', [done(first!.attempt)]);
    tick(made, minutes(1));
    assert.deepEqual(occurrences(made), ['nightly-20260601T120100Z', 'nightly-20260601T120300Z']);
  });

  it('leave out what its account has no room for, and say so', () => {
    const made = leader();
    made.submit('nightly', spec());
    tick(made, 250);
    for (let job = 1; job < limits.jobsPerAccount; job += 1) made.submit(`j${job}`, planOf(stagePlan('s')));
    assert.deepEqual(kinds(tick(made, minutes(1))), ['occurrence-skipped']);
    assert.match(stateOf(made, 'nightly').schedule!.lastSkipped!.reason, /jobsPerAccount is 1000/);
  });

  it('wait for a leader whose clock is that of the fleet, and tell why', () => {
    const made = leader();
    made.submit('nightly', spec());
    tick(made, 250);
    for (const node of ['bob', 'eve']) made.join(node);
    made.wallStartMs += minutes(60); // somebody sets the clock of the leader
    const effects = tick(made, minutes(1));
    assert.deepEqual(kinds(effects), ['schedules-wait']);
    assert.deepEqual(occurrences(made), []);
    const { problem } = stateOf(made, 'nightly');
    assert.equal(problem?.code, 'MESH_CLOCK_UNSURE');
    assert.match(problem.message, /ada leads, and its clock is 3600 s ahead/);
    made.wallStartMs -= minutes(60);
    assert.deepEqual(kinds(tick(made, 250)), ['schedules-go-on']);
    assert.deepEqual(occurrences(made), ['nightly-20260601T120100Z']);
  });

  it('wait where two clocks differ by more than is allowed: nobody can tell which is right', () => {
    const made = leader();
    made.submit('nightly', spec());
    made.wallStartMs += 45_000;
    made.join('bob');
    made.wallStartMs -= 45_000;
    tick(made, 250);
    assert.match(stateOf(made, 'nightly').problem!.message, /its clock is 45 s behind/);
    assert.equal(stateOf(made, 'nightly').schedule?.nextMs, undefined);
  });

  it('wait until more than half of the nodes have told their time', () => {
    const made = leader();
    made.submit('nightly', spec());
    made.step({ type: 'deposed' });
    made.elect(2);
    for (const node of ['ada', 'bob', 'eve']) {
      made.step({ type: 'node-status', status: nodeStatus(node) });
    }
    tick(made, 250);
    assert.equal(stateOf(made, 'nightly').schedule?.nextMs, undefined);
    made.report('bob', [{ type: 'inventory', request: 1, attempts: [], clockMs: made.wallMs }]);
    tick(made, 250);
    assert.notEqual(stateOf(made, 'nightly').schedule?.nextMs, undefined);
  });

  it('end like any job: cancelled, and nothing is started any more', () => {
    const made = leader();
    made.submit('nightly', spec());
    tick(made, 250);
    made.step({ type: 'cancel-requested', account: 'me', job: 'nightly', reason: 'enough' });
    assert.equal(stateOf(made, 'nightly').phase, 'cancelled');
    tick(made, minutes(3));
    assert.deepEqual(occurrences(made), []);
  });

  it('are refused beyond their number, and with an id that leaves no room for occurrences', () => {
    const made = leader();
    const refused = (effects: readonly PlannerEffect[]) =>
      effects.flatMap((each) =>
        each.type === 'publish-state' && each.state.phase === 'refused' ? [each.state.problem!] : [],
      );
    for (let job = 0; job < limits.schedulesPerAccount; job += 1) made.submit(`n${job}`, spec());
    assert.match(refused(made.submit('more', spec()))[0]!.message, /schedulesPerAccount is 100/);
    const [long] = refused(made.submit('x'.repeat(48), spec()));
    assert.equal(long?.code, 'MESH_LIMIT_EXCEEDED');
    assert.equal(refused(made.submit('x'.repeat(48), planOf(stagePlan('s')))).length, 0);
  });

  it('drop in the log what is not a schedule, not later, or cut', () => {
    const made = leader();
    made.submit('nightly', spec());
    made.submit('plain', planOf(stagePlan('s')));
    const of = (job: string) => ({ account: 'me', job, atMs: 0 });
    const { ledger } = made.planner;
    const reasonOf = (command: LedgerCommand) => {
      const [event] = applyCommand(ledger, command);
      return event?.type === 'dropped' ? event.reason : event?.type;
    };
    const start = (occurrenceMs: number) => reasonOf({ type: 'start-occurrence', ...of('nightly'), occurrenceMs });
    assert.equal(start(5_000), 'it has not begun');
    assert.equal(reasonOf({ type: 'begin-schedule', ...of('nightly'), fromMs: 4_000 }), 'schedule-begun');
    assert.equal(reasonOf({ type: 'begin-schedule', ...of('nightly'), fromMs: 1_000 }), 'it has begun');
    assert.equal(start(5_000), 'occurrence-started');
    assert.equal(start(5_000), 'a later one was counted');
    assert.equal(start(4_500), 'a later one was counted');
    assert.equal(reasonOf({ type: 'start-occurrence', ...of('plain'), occurrenceMs: 1 }), 'it has no schedule');
    assert.equal(
      reasonOf({ type: 'cut-stage', ...of('nightly'), stage: 's', tasks: [{ task: 's-0' }] }),
      'no such stage',
    );
  });
});

describe('planner: deadlines and retention', () => {
  it('reports a deadline that is missed once, and goes on; whatever the wall clock does meanwhile', () => {
    const made = leader();
    const effects = made.submit('late', { ...planOf(stagePlan('s')), deadline: { withinMs: 5_000, confidence: 0.9 } });
    made.wallStartMs += minutes(600);
    tick(made, 4_000);
    assert.equal(stateOf(made, 'late').deadline?.missed, false);
    assert.deepEqual(kinds(tick(made, 1_500)), ['deadline-missed']);
    assert.deepEqual(kinds(tick(made, 1_500)), []);
    const { phase, deadline } = stateOf(made, 'late');
    assert.deepEqual([phase, deadline], ['accepted', { atMs: startMs + 5_000, missed: true, confidence: 0.9 }]);
    const ended = made.report('ada', [done(assigned(effects)[0]!.attempt)]);
    const result = ended.find((each) => each.type === 'publish-result');
    assert.ok(result?.type === 'publish-result' && result.result.deadline?.missed && result.result.phase === 'done');
  });

  it('does not call a job late that ends in time, nor again after a change of leader', () => {
    const made = leader();
    const [first] = assigned(made.submit('quick', { ...planOf(stagePlan('s')), deadline: { atMs: startMs + 5_000 } }));
    made.step({ type: 'tick' }, 3_000);
    made.report('ada', [done(first!.attempt)]);
    assert.equal(stateOf(made, 'quick').deadline?.missed, false);
    made.submit('late', { ...planOf(stagePlan('s')), deadline: { withinMs: 1_000 } });
    tick(made, 2_000);
    made.step({ type: 'deposed' });
    made.elect(2);
    assert.deepEqual(kinds(tick(made, 2_000)), []);
  });

  it('forgets an ended job when it has been kept long enough, whatever any wall clock says, and whoever leads', () => {
    const made = leader();
    const [first] = assigned(made.submit('short', { ...planOf(stagePlan('s')), retentionMs: 5_000 }));
    made.submit('kept', planOf(stagePlan('s')));
    // It ends by a clock that is wrong by years; the others are right about the time.
    made.wallStartMs -= minutes(10_000_000);
    made.report('ada', [done(first!.attempt)]);
    made.wallStartMs += minutes(20_000_000);
    tick(made, 1_000);
    tick(made, 4_000);
    const isThere = (job: string) => made.planner.ledger.jobs.has(`me/${job}`);
    assert.ok(isThere('short'), 'its time began when the log first said how old it is');
    // What the log has not heard of the time before is lost with the leader: kept longer, never shorter.
    made.step({ type: 'deposed' });
    made.nowMs += minutes(60);
    made.elect(2);
    tick(made, 4_500);
    assert.ok(isThere('short'), 'nobody led for an hour: it is no older');
    const effects = tick(made, 1_000);
    assert.ok(effects.some((each) => each.type === 'clear-job' && each.job === 'short'));
    assert.deepEqual([...made.planner.ledger.tombstones.keys()], ['me/short']);
    assert.ok(isThere('kept'));
  });

  it('says how old the log is for the sake of the next leader, and not for nothing', () => {
    const made = leader();
    const ages = (effects: readonly PlannerEffect[]) =>
      effects
        .flatMap((each) => (each.type === 'propose' ? each.commands : []))
        .filter(({ type }) => type === 'pass-time');
    assert.deepEqual(ages(tick(made, minutes(60))), [], 'nothing is kept');
    const [first] = assigned(made.submit('done', planOf(stagePlan('s'))));
    made.report('ada', [done(first!.attempt)]);
    assert.equal(ages(tick(made, 1_000)).length, 1, 'it begins to age');
    assert.deepEqual(ages(tick(made, minutes(9))), []);
    assert.deepEqual(ages(tick(made, minutes(1))), [{ type: 'pass-time', passedMs: minutes(10) }]);
  });
});

describe('occurrences', () => {
  const iso = (schedule: { cron: string; timezone: string }, from: string, count: number) => {
    const found = occurrencesOf(schedule);
    assert.ok(typeof found !== 'string', String(found));
    const times: string[] = [];
    for (let atMs = found.next(Date.parse(from)); times.length < count; atMs = found.next(atMs!)) {
      times.push(new Date(atMs!).toISOString().slice(5, 16));
      assert.equal(found.latest(atMs! + 900), atMs);
    }
    return times;
  };
  const berlin = (cron: string) => ({ cron, timezone: 'Europe/Berlin' });

  it('come once a day where clocks are turned', () => {
    assert.deepEqual(iso(berlin('30 2 * * *'), '2026-03-27T12:00:00Z', 3), [
      '03-28T01:30',
      '03-29T01:00',
      '03-30T00:30',
    ]);
    assert.deepEqual(iso(berlin('30 2 * * *'), '2026-10-24T12:00:00Z', 2), ['10-25T00:30', '10-26T01:30']);
  });

  it('go on evenly by the half hour where clocks are turned', () => {
    assert.deepEqual(iso(berlin('*/30 * * * *'), '2026-10-25T00:20:00Z', 4), [
      '10-25T00:30',
      '10-25T01:00',
      '10-25T01:30',
      '10-25T02:00',
    ]);
    assert.deepEqual(iso(berlin('*/30 * * * *'), '2026-03-29T00:20:00Z', 3), [
      '03-29T00:30',
      '03-29T01:00',
      '03-29T01:30',
    ]);
  });

  it('say what is wrong with a schedule', () => {
    assert.equal(occurrencesOf({ cron: '0 0 30 2 *', timezone: 'UTC' }), 'it never comes');
    assert.equal(
      occurrencesOf({ cron: '0 0 * * *', timezone: 'Mars/Base' }),
      'the time zone Mars/Base is not known here',
    );
    assert.match(String(occurrencesOf({ cron: '61 * * * *', timezone: 'UTC' })), /minute: 61/);
  });

  it('have names of their own, in UTC', () => {
    for (const text of ['1970-01-01T00:00:00Z', '2000-02-29T23:59:59Z', '2026-12-24T18:00:00Z', '2100-03-01T00:00:01Z'])
      assert.equal(occurrenceId('n', Date.parse(text)), `n-${text.replace(/[-:]/g, '')}`);
  });
});
