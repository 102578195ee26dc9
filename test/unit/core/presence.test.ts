import assert from 'node:assert/strict';
import { type HistoryPage, limits } from '@foremesh/node-runtime/contract';
import { Presence } from '../../../node-runtime/core/planner/foresight/presence.ts';

describe('presence of a node', () => {
  const minuteMs = 60_000;
  const nowMs = 1e9;
  let events: [string, number][];
  let presence: Presence;

  beforeEach(() => {
    events = [];
    // Told in minutes before now.
    const observe = (event: string, atMs: number) => void events.push([event, (nowMs - atMs) / minuteMs]);
    presence = new Presence({ observe, forecast: () => [] });
  });

  /** Records of a run that ended so many minutes ago, each of the minutes since the one before. */
  const page = (records: [run: number, ago: number][], change: Partial<HistoryPage> = {}): HistoryPage => ({
    agesMs: records.map(([, ago]) => ago * minuteMs),
    runs: records.map(([run]) => run),
    ...{ values: {}, intervalMs: 5 * minuteMs, diskBytesMost: 1, writtenBytes: 1, ...change },
  });

  it('is made of runs and pauses in a history, before what was heard: a node that is there came when its run began', () => {
    presence.observe('came', nowMs - minuteMs);
    const fine = [
      [3, 3],
      [3, 2],
      [3, 1],
      [3, 0],
    ] satisfies [number, number][];
    presence.hearHistory(page(fine, { intervalMs: minuteMs }), nowMs);
    presence.hearHistory(page([100, 95, 90].map((ago) => [1, ago])), nowMs);
    presence.hearHistory(page([60, 55, 20, 15].map((ago) => [2, ago])), nowMs);
    presence.hearHistory(page([[3, 4]]), nowMs);
    assert.deepEqual(events, [], 'until all is told');
    presence.endHistory(nowMs);
    assert.deepEqual(events, [
      ['came', 105],
      ['left', 90],
      ['came', 65],
      ['left', 55],
      ['came', 25],
      ['left', 15],
      ['came', 9],
      ['came', 1],
    ]);
    presence.observe('left', nowMs);
    assert.deepEqual(events.at(-1), ['left', 0]);
    // What comes late, or is asked for after an absence, was heard.
    presence.hearHistory(page([[3, 4]]), nowMs);
    presence.endHistory(nowMs);
    assert.equal(events.length, 9);
  });

  it('came just now where its last run ended before', () => {
    presence.observe('came', nowMs);
    presence.hearHistory(page([[1, 480]]), nowMs);
    presence.endHistory(nowMs);
    assert.deepEqual(events, [
      ['came', 485],
      ['left', 480],
      ['came', 0],
    ]);
  });

  it('takes no part of a history for the whole: it would end with a departure', () => {
    presence.observe('came', nowMs);
    presence.hearHistory(page([[1, 480]], { next: 1 }), nowMs);
    presence.endHistory(nowMs);
    assert.deepEqual(events, [['came', 0]]);
  });

  it('believes no more than a history can tell', () => {
    presence.observe('came', nowMs);
    const day = 24 * 60;
    const told = page(
      [
        [1, 50 * day],
        [2, 3 * day],
        [3, 2 * day],
      ],
      { intervalMs: 1e300 },
    );
    presence.hearHistory({ ...told, runs: [1, 2] }, nowMs);
    presence.endHistory(nowMs);
    assert.deepEqual(events, [
      ['came', 31 * day],
      ['came', 0],
    ]);
  });

  it('goes on in time where the first mean of a run began before the last of the run before had ended, and remembers so many sessions', () => {
    const runs = limits.sessionsPerNode + 10;
    presence.hearHistory(page(Array.from({ length: runs }, (_, run) => [run, runs - run])), nowMs);
    presence.endHistory(nowMs);
    assert.equal(events.length, 2 * limits.sessionsPerNode - 1);
    assert.ok(events.every(([, ago], index) => index === 0 || ago <= events[index - 1]![1]));
  });
});
