import assert from 'node:assert/strict';
import { jobSpec } from '@foremesh/node-runtime/contract';

const stages = { main: { code: { inline: 'export default () => 1' } } };
const problems = (more: object) => {
  const parsed = jobSpec.safeParse({ stages, ...more });
  return parsed.success ? [] : parsed.error.issues.map(({ path }) => path.join('.'));
};

describe('job spec: when, and by what weights', () => {
  it('takes a schedule in short and at length, and what it made of one again', () => {
    const short = jobSpec.parse({ stages, schedule: '0 3 * * *' });
    const defaults = { timezone: 'UTC', catchUp: 'none', overlap: 'allow' };
    assert.deepEqual(short.schedule, { cron: '0 3 * * *', ...defaults });
    assert.deepEqual(jobSpec.parse(short), short);
    const berlin = { cron: '*/5 * * * * MON-FRI', timezone: 'Europe/Berlin', catchUp: 'one', overlap: 'skip' };
    assert.deepEqual(jobSpec.parse({ stages, schedule: berlin }).schedule, berlin);
  });

  it('takes a deadline and a retention, and what it made of them again', () => {
    const spec = jobSpec.parse({ stages, deadline: '2h', confidence: 0.9, retention: '7d' });
    assert.deepEqual([spec.deadline, spec.retention], [7_200, 604_800]);
    assert.deepEqual(jobSpec.parse(spec), spec);
    const at = '2026-12-24T18:00:00+01:00';
    assert.equal(jobSpec.parse({ stages, deadline: at }).deadline, at);
  });

  it('takes weights, some or all of them, also 0', () => {
    for (const weights of [{}, { contention: 0 }, { makespan: 1, contention: 5.5, transfer: 0, risk: 1_000 }])
      assert.deepEqual(jobSpec.parse({ stages, weights }).weights, weights);
  });

  const wrong: readonly [object, string][] = [
    [{ schedule: '* * * *' }, 'schedule'],
    [{ schedule: '2026-01-01T00:00:00' }, 'schedule'],
    [{ schedule: `* * * * ${'1,'.repeat(60)}1` }, 'schedule'],
    [{ schedule: { cron: '@daily', timezone: '../etc' } }, 'schedule'],
    [{ schedule: { cron: '@daily', catchUp: 'all' } }, 'schedule'],
    [{ schedule: '@daily', deadline: '2026-12-24T18:00:00Z' }, 'deadline'],
    [{ deadline: 'tomorrow' }, 'deadline'],
    [{ deadline: '2026-12-24T18:00:00' }, 'deadline'],
    [{ confidence: 0.5 }, 'confidence'],
    [{ deadline: 5, confidence: 1.5 }, 'confidence'],
    [{ weights: { makespan: -1 } }, 'weights.makespan'],
    [{ weights: { contention: 1_001 } }, 'weights.contention'],
    [{ weights: { speed: 1 } }, 'weights'],
    [{ weights: { makespan: 0, contention: 0, transfer: 0, risk: 0 } }, 'weights'],
    [{ retention: 0.5 }, 'retention'],
    [{ retention: '367d' }, 'retention'],
  ];
  for (const [more, path] of wrong) {
    it(`refuses ${JSON.stringify(more).slice(0, 60)}`, () => {
      assert.ok(
        problems(more).some((each) => each === path || each.startsWith(`${path}.`)),
        String(problems(more)),
      );
    });
  }
});
