import assert from 'node:assert/strict';
import { cutRange, type RecordIndex } from '@foremesh/partitioner';
import fc from 'fast-check';

/** Marks at some records of an input, seven bytes a record and three ahead of the first. */
const indexes = fc
  .record({ totalRecords: fc.integer({ min: 1, max: 60 }), marked: fc.uniqueArray(fc.integer({ min: 1, max: 59 })) })
  .map(({ totalRecords, marked }): RecordIndex => {
    const records = [0, ...marked.filter((record) => record < totalRecords).sort((a, b) => a - b)];
    const offsets = records.map((record) => 3 + record * 7);
    return { by: 'lines', totalRecords, endOffset: 3 + totalRecords * 7, records, offsets };
  });

const cases = indexes.chain((index) => {
  const places = [...index.records, index.totalRecords];
  const place = fc.nat(places.length - 2);
  return fc.record({ index: fc.constant(index), from: place, many: fc.nat(places.length) }).map(({ from, many }) => {
    const [first, end] = [places[from]!, places[Math.min(places.length - 1, from + 1 + many)]!];
    return { index, range: { start: 3 + first * 7, end: 3 + end * 7, firstRecord: first, records: end - first } };
  });
});
const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 30 }), fc.constant(Number.POSITIVE_INFINITY)), {
  maxLength: 20,
});

describe('pieces of a range', () => {
  it('follow each other at marks from its begin, none empty, and end where it ends or the sizes do', () => {
    fc.assert(
      fc.property(cases, sizes, ({ index, range }, wanted) => {
        const end = range.firstRecord + range.records;
        const pieces = cutRange(index, range, wanted);
        let at = range.firstRecord;
        for (const piece of pieces) {
          assert.equal(piece.firstRecord, at);
          assert.ok(piece.records >= 1);
          assert.deepEqual([piece.start, piece.end], [3 + at * 7, 3 + (at + piece.records) * 7]);
          at += piece.records;
          assert.ok(at === end || (at < end && index.records.includes(at)), `${at} is no mark`);
        }
        assert.ok(at === end || pieces.length === wanted.length, 'it stops early');
      }),
      { numRuns: 500 },
    );
  });

  it('are as large as wanted as near as the marks allow', () => {
    fc.assert(
      fc.property(cases, fc.integer({ min: 1, max: 60 }), ({ index, range }, wanted) => {
        const end = range.firstRecord + range.records;
        const places = [...index.records, end].filter((record) => record > range.firstRecord && record <= end);
        const off = (record: number) => Math.abs(record - range.firstRecord - Math.min(wanted, range.records));
        const [piece] = cutRange(index, range, [wanted]);
        assert.equal(off(range.firstRecord + piece!.records), Math.min(...places.map(off)));
      }),
      { numRuns: 500 },
    );
  });
});
