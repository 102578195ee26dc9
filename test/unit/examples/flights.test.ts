import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import map from '../../../examples/flights/map.ts';
import merge from '../../../examples/flights/merge.ts';
import { computeHere, flightsFile } from '../../../examples/flights/single-process.ts';
import type { Flight } from '../../../examples/flights/statistics.ts';
import type { Task, TaskInput } from '../../../node-runtime/engines/task-api.ts';

describe('the example flights', () => {
  let all: Flight[];
  before(() => {
    all = JSON.parse(readFileSync(flightsFile, 'utf8'));
  });

  it('gives exactly the same table however the records are cut', async () => {
    const everyFiftieth = all.filter((_, index) => index % 50 === 0).slice(0, 1_000);
    const expected = computeHere(everyFiftieth);
    const cuts = fc.uniqueArray(fc.integer({ min: 0, max: everyFiftieth.length }), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(cuts, async (unsorted) => {
        const borders = [0, ...unsorted.sort((a, b) => a - b), everyFiftieth.length];
        const parts = borders.slice(1).map((end, index) => mapPart(everyFiftieth.slice(borders[index], end)));
        assert.deepEqual(merge({ parts: await Promise.all(parts) }), expected);
      }),
      { numRuns: 30 },
    );
  });

  it('counts every flight once', () => {
    const rows = computeHere(all.slice(0, 5_000));
    assert.equal(
      rows.reduce((sum, { flights }) => sum + flights, 0),
      5_000,
    );
  });

  it('gives intervals as wide as the normal approximation where there are many flights', () => {
    const morning = all.filter(({ time, distance }) => Math.floor(time) === 8 && distance >= 600 && distance < 1_000);
    const [row] = computeHere(morning);
    const mean = morning.reduce((sum, { delay }) => sum + delay, 0) / morning.length;
    const variance = morning.reduce((sum, { delay }) => sum + (delay - mean) ** 2, 0) / (morning.length - 1);
    const width = 2 * 1.96 * Math.sqrt(variance / morning.length);
    assert.ok(row !== undefined && Math.abs(row.meanDelay - mean) < 0.01);
    assert.ok(row.low < mean && mean < row.high);
    const ratio = (row.high - row.low) / width;
    assert.ok(ratio > 0.85 && ratio < 1.15, `width is ${ratio} of what it should be`);
  });
});

/** What a node does with a part: run, and send the result as JSON. */
async function mapPart(flights: readonly Flight[]): Promise<unknown> {
  const input = [...flights] as unknown as TaskInput;
  const progress: Task['progress'] = (fraction) => assert.ok(fraction >= 0 && fraction <= 1);
  return JSON.parse(JSON.stringify(await map({ input, progress })));
}
