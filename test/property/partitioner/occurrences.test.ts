import assert from 'node:assert/strict';
import { occurrencesOf } from '@foremesh/partitioner/occurrences';
import fc from 'fast-check';
import { createTask } from 'node-cron';

const minuteMs = 60_000;
const zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe', 'America/St_Johns'];
/** Days on which clocks are turned in one of these zones, and others. */
const days = ['2026-03-07', '2026-03-28', '2026-04-04', '2026-10-03', '2026-10-24', '2026-10-31', '2028-02-28'];

const field = (most: number) =>
  fc.oneof(
    fc.constant('*'),
    fc.integer({ min: 2, max: most }).map((step) => `*/${step}`),
    fc.integer({ min: 0, max: most }).map(String),
    fc.tuple(fc.integer({ min: 0, max: most }), fc.integer({ min: 0, max: most })).map((both) => both.join(',')),
  );
const schedules = fc.record({
  minute: field(59),
  hour: field(23),
  timezone: fc.constantFrom(...zones),
  startMs: fc.tuple(fc.constantFrom(...days), fc.integer({ min: 0, max: 1_439 })).map(([day, minutes]) => {
    return Date.parse(`${day}T00:00:00Z`) + minutes * minuteMs;
  }),
});

/** Of a wall clock, by Intl alone as minutes of the day, and since 1970. */
function wallClock(timezone: string): (atMs: number) => { readonly minutes: number; readonly ofDay: number } {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: timezone, dateStyle: 'short', timeStyle: 'short' });
  return (atMs) => {
    const minutes = Date.parse(`${format.format(atMs).replace(' ', 'T')}:00Z`) / minuteMs;
    return { minutes, ofDay: ((minutes % 1_440) + 1_440) % 1_440 };
  };
}

describe('property: occurrences', () => {
  it('are what Intl and node-cron say of every minute of three days, clocks turned or not', () => {
    fc.assert(
      fc.property(schedules, ({ minute, hour, timezone, startMs }) => {
        const cron = `${minute} ${hour} * * *`;
        const found = occurrencesOf({ cron, timezone });
        assert.ok(typeof found !== 'string', String(found));
        const recurs = minute.startsWith('*') || hour.startsWith('*');
        const expected = recurs ? recurring(cron, timezone, startMs) : daily(cron, timezone, startMs);
        const got: number[] = [];
        const endMs = startMs + 3 * 1_440 * minuteMs;
        for (let atMs = found.next(startMs - 1); atMs !== undefined && atMs < endMs; atMs = found.next(atMs))
          got.push(atMs);
        assert.deepEqual(got, expected);
        for (const [number, atMs] of got.slice(0, 20).entries()) {
          assert.equal(found.latest(atMs), atMs);
          if (number > 0) assert.equal(found.latest(atMs - 1), got[number - 1]);
        }
      }),
      { numRuns: 25 },
    );
  });

  it('say in words what no pattern is, whatever it is', () => {
    const token = fc.stringMatching(/^[\w*,/?#+-]{1,12}$/);
    fc.assert(
      fc.property(fc.array(token, { minLength: 5, maxLength: 6 }), (fields) => {
        const found = occurrencesOf({ cron: fields.join(' '), timezone: 'UTC' });
        if (typeof found === 'string') assert.notEqual(found, '');
        else assert.ok(found.next(0)! > 0);
      }),
      { numRuns: 300 },
    );
  });
});

/** Every minute at which the wall clock matches, by node-cron's own reading of the time zone. */
function recurring(cron: string, timezone: string, startMs: number): number[] {
  const task = createTask(cron, () => undefined, { timezone });
  void task.destroy();
  return minutesFrom(startMs).filter((atMs) => task.match(new Date(atMs)));
}

/** Every time that the wall clock reaches or passes a matching one that it has not shown before. */
function daily(cron: string, timezone: string, startMs: number): number[] {
  const task = createTask(cron, () => undefined, { timezone: 'UTC' });
  void task.destroy();
  const clock = wallClock(timezone);
  let shown = clock(startMs - 1_440 * minuteMs).minutes;
  const due: number[] = [];
  for (const atMs of [...minutesFrom(startMs - 1_440 * minuteMs, 1_440), ...minutesFrom(startMs)]) {
    const { minutes } = clock(atMs);
    let isDue = false;
    for (; shown < minutes; shown += 1) isDue ||= task.match(new Date((shown + 1) * minuteMs));
    if (isDue && atMs >= startMs) due.push(atMs);
  }
  return due;
}

function minutesFrom(startMs: number, count = 3 * 1_440): number[] {
  return Array.from({ length: count }, (_, number) => startMs + number * minuteMs);
}
