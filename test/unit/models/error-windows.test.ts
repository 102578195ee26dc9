import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Recent } from '../../../models/baselines/recent.ts';
import { SortedWindow } from '../../../models/baselines/sorted-window.ts';
import { ErrorWindows, errorsKept } from '../../../models/engine/error-windows.ts';

const steps = [1, 3, 30];

describe('error windows', () => {
  it('have the quantiles of the last errors of each forecast at each step', () => {
    // Few different values, so that many errors are equal; more of them than are kept.
    const values = fc.array(fc.constantFrom(0, 0, 0, 0.1, 1, 7.3), { minLength: 1, maxLength: 3 * errorsKept });
    fc.assert(
      fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), (series, level) => {
        const remembered = errorsKept + steps.at(-1)!;
        const seen = new Recent(new Float64Array(remembered));
        const half = new Recent(new Float32Array(remembered));
        const windows = new ErrorWindows(steps, seen, [seen, half]);
        for (const value of series) {
          seen.push(value);
          half.push(value / 2);
          windows.update();
        }
        for (const [anchor, step] of steps.entries()) {
          const pairs = series.slice(step).map((value, index) => [value, series[index]!] as const);
          const kept = pairs.slice(-errorsKept);
          assert.equal(windows.size(anchor), kept.length);
          for (const [point, said] of [(value: number) => value, (value: number) => Math.fround(value / 2)].entries()) {
            const expected = new SortedWindow(errorsKept);
            for (const [value, before] of kept) expected.insert(value - said(before));
            assert.equal(windows.quantile(point, anchor, level), expected.quantile(level));
          }
        }
      }),
    );
  });
});
