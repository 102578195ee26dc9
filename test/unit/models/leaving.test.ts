import assert from 'node:assert/strict';
import { type LeavingHazard, leavingHazards } from '@foremesh/models';
import fc from 'fast-check';
import { randomOf } from '../../support/generated.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/** A node that is there from nine to five, `days` long. */
function workOffice(hazard: LeavingHazard, days: number): void {
  for (let day = 0; day < days; day += 1) {
    hazard.observe('came', day * dayMs + 9 * hourMs);
    hazard.observe('left', day * dayMs + 17 * hourMs + (day % 5) * minuteMs);
  }
}

describe('leaving hazard', () => {
  it('never falls with the step and stays within 0 and 1, whatever happened and whenever it was asked', () => {
    const event = fc.record({
      event: fc.constantFrom('came' as const, 'left' as const),
      afterMs: fc.oneof(fc.integer({ min: 0, max: 1_000 }), fc.double({ min: 0, max: 5 * dayMs, noNaN: true })),
      steps: fc.integer({ min: 0, max: 40 }),
      intervalMs: fc.oneof(fc.constant(minuteMs), fc.double({ min: 1, max: 3 * hourMs, noNaN: true })),
    });
    fc.assert(
      fc.property(
        fc.double({ min: -1e12, max: 2e12, noNaN: true }),
        fc.array(event, { maxLength: 40 }),
        (startMs, events) => {
          const hazard = leavingHazards().open();
          let atMs = startMs;
          for (const { event, afterMs, steps, intervalMs } of events) {
            atMs += afterMs;
            hazard.observe(event, atMs);
            const curve = hazard.forecast(atMs, steps, intervalMs);
            assert.equal(curve.length, steps);
            let before = 0;
            for (const probability of curve) {
              assert.ok(probability >= before && probability <= 1, `${probability} after ${before}`);
              before = probability;
            }
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('expects of an unknown node that it stays for a day or so, and of one that is gone nothing', () => {
    const hazard = leavingHazards().open();
    assert.deepEqual(hazard.forecast(0, 2, minuteMs), [1, 1]);
    hazard.observe('came', 0);
    const [half] = hazard.forecast(0, 1, dayMs / 2);
    assert.ok(half! > 0.2 && half! < 0.6, `${half}`);
    hazard.observe('left', hourMs);
    assert.deepEqual(hazard.forecast(hourMs, 1, minuteMs), [1]);
  });

  it('learns at what time of day a node leaves', () => {
    const hazard = leavingHazards().open();
    workOffice(hazard, 30);
    hazard.observe('came', 30 * dayMs + 9 * hourMs);
    const noon = hazard.forecast(30 * dayMs + 12 * hourMs, 30, minuteMs).at(-1)!;
    const evening = hazard.forecast(30 * dayMs + 16 * hourMs + 45 * minuteMs, 30, minuteMs).at(-1)!;
    assert.ok(noon < 0.05, `at noon ${noon}`);
    assert.ok(evening > 0.8, `in the evening ${evening}`);
  });

  it('learns that a node which has stayed for long stays longer', () => {
    const hazard = leavingHazards().open();
    const { uniform } = randomOf(1);
    let atMs = 0;
    for (let stay = 0; stay < 400; stay += 1) {
      hazard.observe('came', atMs);
      atMs += uniform() < 0.7 ? 4 * minuteMs * uniform() : 5 * hourMs * (0.5 + uniform());
      hazard.observe('left', atMs);
      atMs += 20 * minuteMs;
    }
    hazard.observe('came', atMs);
    const young = hazard.forecast(atMs, 5, minuteMs).at(-1)!;
    const old = hazard.forecast(atMs + hourMs, 5, minuteMs).at(-1)!;
    assert.ok(young > 0.5 && old < 0.15, `${young} when it came, ${old} after an hour`);
  });

  it('expects of a new node what the fleet does, and of a node that differs, in time, what it does itself', () => {
    const hazards = leavingHazards();
    for (let node = 0; node < 10; node += 1) workOffice(hazards.open(), 20);
    const fresh = hazards.open();
    fresh.observe('came', 20 * dayMs + 9 * hourMs);
    const evenings = [20, 40].map((day) => {
      // From then on it stays day and night.
      return fresh.forecast(day * dayMs + 16 * hourMs + 45 * minuteMs, 30, minuteMs).at(-1)!;
    });
    assert.ok(evenings[0]! > 0.5, `like the others: ${evenings[0]}`);
    assert.ok(evenings[1]! < 0.25, `on its own: ${evenings[1]}`);
  });

  it('gives up a habit that the node has given up', () => {
    const hazard = leavingHazards().open();
    workOffice(hazard, 60);
    // Ever since it leaves at nine in the evening instead.
    for (let day = 60; day < 100; day += 1) {
      hazard.observe('came', day * dayMs + 9 * hourMs);
      hazard.observe('left', day * dayMs + 21 * hourMs);
    }
    hazard.observe('came', 100 * dayMs + 9 * hourMs);
    const [five, nine] = [17, 21].map((hour) => {
      const beforeMs = 100 * dayMs + hour * hourMs - 15 * minuteMs;
      return hazard.forecast(beforeMs, 30, minuteMs).at(-1)!;
    });
    assert.ok(five! < 0.5 && nine! > 0.6, `${five} at five, ${nine} at nine`);
  });

  it('says the same whether it was asked before or not', () => {
    const [asked, silent] = [leavingHazards().open(), leavingHazards().open()];
    for (const hazard of [asked, silent]) workOffice(hazard, 5);
    for (const hazard of [asked, silent]) hazard.observe('came', 5 * dayMs + 9 * hourMs);
    for (let minute = 0; minute < 300; minute += 7)
      asked.forecast(5 * dayMs + 9 * hourMs + minute * minuteMs, 3, minuteMs);
    const curves = [asked, silent].map((hazard) => hazard.forecast(5 * dayMs + 15 * hourMs, 30, minuteMs));
    for (const [step, probability] of curves[0]!.entries())
      assert.ok(Math.abs(probability - curves[1]![step]!) < 1e-5, `${probability} and ${curves[1]![step]}`);
  });

  it('passes over what is told twice, or of no time', () => {
    const hazard = leavingHazards().open();
    hazard.observe('left', 0);
    hazard.observe('came', Number.NaN);
    assert.deepEqual(hazard.forecast(0, 1, minuteMs), [1]);
    hazard.observe('came', 10);
    hazard.observe('came', hourMs);
    assert.ok(hazard.forecast(hourMs, 1, minuteMs)[0]! < 1);
  });
});
