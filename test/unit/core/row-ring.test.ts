import assert from 'node:assert/strict';
import { RowRing } from '../../../node-runtime/core/planner/foresight/row-ring.ts';

describe('row ring', () => {
  it('keeps at least the newest rows that it is to keep, and at most twice as many, also when that number changes', () => {
    const rows = new RowRing();
    let pushed = 0;
    let kept = 0;
    const push = (count: number, most: number) => {
      for (let each = 0; each < count; each += 1) {
        rows.push([pushed, -pushed, 0, 1], most);
        pushed += 1;
        const newest = [...rows.column('cpu')];
        // Nothing is dropped that leaves less than is to be kept.
        assert.ok(newest.length === kept + 1 || newest.length > most, `${newest.length} rows after ${kept}`);
        assert.ok(newest.length <= 2 * most, `${newest.length} rows`);
        kept = newest.length;
        assert.deepEqual(
          newest,
          Array.from({ length: kept }, (_, index) => pushed - kept + index),
        );
        assert.equal(rows.column('memory').at(-1), -newest.at(-1)!);
      }
    };
    push(450, 100);
    push(800, 300);
    assert.ok(kept >= 300);
    rows.push([pushed, 0, 0, 1], 0);
    assert.equal(rows.column('cpu').length, 0, 'nothing more is to be kept');
    [pushed, kept] = [0, 0];
    push(10, 4);
  });
});
