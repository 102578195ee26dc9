import assert from 'node:assert/strict';
import { type ChunkDevice, chunkSize, chunkToCopy } from '@foremesh/partitioner';
import fc from 'fast-check';

const devices = fc.array(
  fc
    .record({
      itemsPerSecond: fc.double({ min: 0.01, max: 1_000, noNaN: true }),
      isMeasured: fc.boolean(),
      overheadSeconds: fc.double({ min: 0, max: 10, noNaN: true }),
      transferSecondsPerItem: fc.double({ min: 0, max: 1, noNaN: true }),
      leavesPerSecond: fc.oneof(fc.constant(0), fc.double({ min: 1e-6, max: 0.1, noNaN: true })),
      spread: fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 1, max: 10, noNaN: true })),
    })
    .map(
      ({ spread: [low, high], ...device }): ChunkDevice => ({
        ...device,
        band: { q10: device.itemsPerSecond * low, q90: device.itemsPerSecond * high },
      }),
    ),
  { minLength: 1, maxLength: 20 },
);
const steady: ChunkDevice = {
  itemsPerSecond: 1,
  isMeasured: true,
  overheadSeconds: 0.1,
  transferSecondsPerItem: 0,
  leavesPerSecond: 0,
};

describe('property: chunk sizes', () => {
  it('are whole, at least 1, and no more than there is: so every stage ends', () => {
    fc.assert(
      fc.property(devices, fc.integer({ min: 1, max: 1e6 }), fc.nat(), (all, remaining, which) => {
        const size = chunkSize(remaining, all, which % all.length);
        assert.ok(Number.isInteger(size) && size >= 1 && size <= remaining, `${size} of ${remaining}`);
      }),
    );
  });

  it('a faster device gets no less, one that has shown nothing no more, one that may leave no more', () => {
    fc.assert(
      fc.property(devices, fc.integer({ min: 1, max: 1e6 }), (all, remaining) => {
        const size = (change: Partial<ChunkDevice>) =>
          chunkSize(remaining, [{ ...all[0]!, ...change }, ...all.slice(1)], 0);
        assert.ok(size({ itemsPerSecond: 2 * all[0]!.itemsPerSecond }) >= size({}));
        assert.ok(size({ isMeasured: false }) <= size({ isMeasured: true }));
        assert.ok(size({ leavesPerSecond: 0.2 }) <= size({ leavesPerSecond: 0 }));
      }),
    );
  });

  it('an idle device copies what it would end soonest before its own device, and nothing that it would not', () => {
    const fast = { ...steady, itemsPerSecond: 10 };
    const slow = { ...steady, itemsPerSecond: 0.1 };
    const all = [fast, steady, slow];
    const chunk = (device: number, ageSeconds = 0, copies = 1) => ({ items: 10, ageSeconds, device, copies });
    assert.deepEqual(chunkToCopy([chunk(1), chunk(2)], all, 0), { chunk: chunk(2) });
    assert.equal(chunkToCopy([chunk(2, 0, 2)], all, 0), undefined, 'two run it already');
    assert.equal(chunkToCopy([chunk(0)], all, 2), undefined, 'it would end later');
    assert.equal(chunkToCopy([chunk(1, 9.9)], all, 0), undefined, 'it is about to end');
    assert.deepEqual(chunkToCopy([chunk(1, 30)], all, 0), { chunk: chunk(1, 30) }, 'long overdue');
  });

  it('the surer a piece is to be, the smaller; without a wish, as with an even one where nobody leaves', () => {
    const confidences = fc.tuple(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
    );
    fc.assert(
      fc.property(devices, fc.integer({ min: 1, max: 1e6 }), fc.nat(), confidences, (all, remaining, which, both) => {
        const size = (confidence?: number) => chunkSize(remaining, all, which % all.length, confidence);
        const [less, more] = both.sort((one, other) => one - other);
        assert.ok(size(more) <= size(less), `${size(more)} and ${size(less)}`);
        assert.ok(size(less) <= size());
        if (all[which % all.length]!.leavesPerSecond === 0) assert.equal(size(0.5), size());
      }),
    );
  });

  const copying = fc.record({
    all: devices,
    pieces: fc.array(
      fc.record({
        items: fc.integer({ min: 1, max: 1_000 }),
        ageSeconds: fc.double({ min: 0, max: 1_000, noNaN: true }),
        device: fc.nat(),
        copies: fc.integer({ min: 1, max: 2 }),
      }),
      { maxLength: 10 },
    ),
    withinSeconds: fc.double({ min: -100, max: 1_000, noNaN: true }),
    speedShare: fc.double({ min: 0.5, max: 1, noNaN: true }),
  });

  it('the surer a deadline is to be met, the rather a piece is copied, and then it helps; what gains without one is copied with one', () => {
    fc.assert(
      fc.property(
        copying,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (given, one, other) => {
          const { all, withinSeconds, speedShare } = given;
          const pieces = given.pieces.map((piece) => ({ ...piece, device: piece.device % all.length }));
          const copy = (confidence: number) =>
            chunkToCopy(pieces, all, 0, { speedShare, deadline: { withinSeconds, confidence } });
          const [less, more] = [copy(Math.min(one, other)), copy(Math.max(one, other))];
          if (less !== undefined) assert.ok(more !== undefined);
          if (chunkToCopy(pieces, all, 0, { speedShare }) !== undefined) assert.ok(less !== undefined);
          if (more?.inTime === undefined) return;
          const { alone, together } = more.inTime;
          assert.ok(
            alone >= 0 && alone < Math.max(one, other) && together >= alone + 0.01 && together <= 1,
            `${alone} ${together}`,
          );
        },
      ),
    );
  });
});
