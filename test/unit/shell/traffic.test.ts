import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Traffic } from '../../../node-runtime/shell/owner/traffic.ts';
import { endAll, scratch } from './scratch.ts';

const hourMs = 3_600_000;
/** A quarter past an hour, and 30 s. */
const nowMs = 500_000 * hourMs + 15.5 * 60_000;

describe('what a node sends and receives', () => {
  afterEach(endAll);
  let traffic: Traffic;
  beforeEach(async () => {
    traffic = await Traffic.open(join(await scratch(), 'traffic.json'));
  });

  it('is expected to go on as in the last hour, until the budget is used up', () => {
    traffic.count(400, nowMs - hourMs);
    traffic.count(1_000, nowMs);
    // 600 in this hour, and 44.5 of the 60 minutes of the one before lie within the last hour.
    const perMinute = (600 + 400 * (44.5 / 60)) / 60;
    const ahead = traffic.ahead(nowMs, 30 * 60_000, 1_050);
    assert.deepEqual(
      ahead.slice(0, 3).map(({ afterMs }) => afterMs),
      [0, 30_000, 90_000],
    );
    assert.equal(ahead.length, 31, 'no further than it was asked');
    const rounded = ahead.map(({ bytes }) => Math.round(bytes));
    assert.deepEqual(
      rounded.slice(0, 6),
      [0, 0.5, 1.5, 2.5, 3.5, 3.5].map((minutes) => Math.round(1_000 + minutes * perMinute)),
    );
    assert.equal(rounded.at(-1), rounded[5]);
  });

  it('counts no more when its day is over', () => {
    traffic.count(1_000, nowMs - 23 * hourMs);
    const bytes = traffic.ahead(nowMs, hourMs, 500).map((each) => each.bytes);
    assert.deepEqual([bytes[0], bytes[44], bytes[45], bytes.at(-1)], [1_000, 1_000, 0, 0]);
    assert.equal(traffic.count(1_000, nowMs + 44.5 * 60_000), 0, 'and so it is counted then');
  });

  it('is nothing of which nothing was', () => {
    assert.deepEqual(
      traffic.ahead(nowMs, 120_000, 10).map(({ bytes }) => bytes),
      [0, 0, 0],
    );
  });
});
