import assert from 'node:assert/strict';
import {
  type CapacityCurve,
  costWeightsDefault,
  type ForeseenDevice,
  type ForeseenPlacement,
  type ForeseenTask,
  placeByCost,
  rankStages,
  refusalForGood,
  type SlotCapacity,
} from '@foremesh/partitioner';
import fc from 'fast-check';

const GiB = 1024 ** 3;
const exactly = (value: number) => ({ q10: value, q50: value, q90: value });
const sure = (curve: CapacityCurve): SlotCapacity => ({ q10: curve, q50: curve, q90: curve, demand: 1 });
const always = (rate: number) => sure({ untilSeconds: [], rates: [rate] });

function device(name: string, change: Partial<ForeseenDevice> = {}): ForeseenDevice {
  const slots = change.slotsFreeSeconds ?? [0];
  return {
    device: name,
    engines: ['js'],
    labels: [],
    speed: { js: 1 },
    coreShare: 1,
    freeSlots: slots.filter((seconds) => seconds === 0).length,
    freeQueue: 0,
    freeMemoryBytes: GiB,
    offeredMemoryBytes: GiB,
    capacity: always(1),
    leavesPerSecond: 0,
    bytesPerSecond: 1e6,
    nearBytes: 0,
    ...change,
    slotsFreeSeconds: [...slots],
  };
}

function tasks(count: number, seconds: number, change: Partial<ForeseenTask> = {}): ForeseenTask[] {
  const workSeconds = exactly(seconds);
  return Array.from({ length: count }, (_, number) => ({
    task: `t-${number}`,
    engine: 'js',
    labels: [],
    memoryBytes: 1,
    avoid: [],
    workSeconds,
    inputBytes: 0,
    mayWait: true,
    overdueSeconds: 0,
    ...change,
  }));
}

/** `bob` for one that is placed, `(cyd)` for one that waits for it. */
function said(placement: ForeseenPlacement): string {
  if ('refusals' in placement) return placement.refusals.map(({ refusal }) => refusal).join();
  return 'device' in placement ? placement.device : `(${placement.waitsFor?.device ?? ''})`;
}
const byCost = (some: ForeseenTask[], devices: ForeseenDevice[], weights = costWeightsDefault) =>
  placeByCost(some, devices, weights, { ready: some.length, placedMost: 512, waitingMost: 64, alternativesKept: 16 });
const place = (...of: Parameters<typeof byCost>) => byCost(...of).map(said);

describe('placement by cost', () => {
  it('lets a task wait for a fast device while that ends it earlier, and starts the rest on the slow one', () => {
    const two = () => [device('fast', { speed: { js: 10 }, slotsFreeSeconds: [2] }), device('slow')];
    // 10 s of work: on the fast one in 3 s, the second in 4 s, ..., the eighth in 10 s; on the slow one in 10 s.
    assert.deepEqual(place(tasks(7, 10), two()), Array(7).fill('(fast)'));
    assert.deepEqual(place(tasks(8, 10), two()), ['slow']);
  });

  it('rather takes a device that is free now than one that soon will not be', () => {
    const soonBusy = device('soon-busy', {
      speed: { js: 1.5 },
      capacity: sure({ untilSeconds: [5], rates: [1, 0.1] }),
    });
    assert.deepEqual(place(tasks(1, 30), [soonBusy, device('calm')]), ['calm']);
    assert.deepEqual(
      place(tasks(1, 6), [soonBusy, device('calm')]),
      ['soon-busy'],
      'what ends before that does not mind',
    );
  });

  it('waits until a device has done with its own work, unless nobody there minds', () => {
    const busy = () => device('busy', { capacity: sure({ untilSeconds: [60], rates: [0.2, 1] }) });
    assert.deepEqual(place(tasks(1, 30), [busy()]), ['(busy)']);
    assert.deepEqual(place(tasks(1, 30), [busy()], { ...costWeightsDefault, contention: 0 }), ['busy']);
    const edge = device('edge', { capacity: sure({ untilSeconds: [10, 12], rates: [0.05, 0.6, 1] }) });
    const [placement] = byCost(tasks(1, 10), [edge]);
    const waitsFor = placement !== undefined && 'waitsFor' in placement ? placement.waitsFor : undefined;
    assert.equal(waitsFor?.expected.startSeconds, 10, 'in the step in the midst of which the own work ends');
    const ever = device('ever', { capacity: always(0.2) });
    assert.deepEqual(place(tasks(1, 30), [ever]), ['ever'], 'where there is no better time, none is waited for');
  });

  it('does not wait for what nobody knows, and not longer than it may', () => {
    const unknown = device('unknown', { speed: { js: 100 }, slotsFreeSeconds: [Number.POSITIVE_INFINITY] });
    assert.deepEqual(place(tasks(1, 30), [unknown, device('slow')]), ['slow']);
    const soon = device('soon', { speed: { js: 100 }, slotsFreeSeconds: [1] });
    assert.deepEqual(place(tasks(1, 30), [soon, device('slow')]), ['(soon)']);
    assert.deepEqual(place(tasks(1, 30, { mayWait: false }), [soon, device('slow')]), ['slow']);
  });

  it('that has waited longer than it was told expects as much again, and takes what is free where that is better', () => {
    // 30 s of work: on the one that was to be free in a second 3 s, on the slow one 30 s.
    const two = () => [device('soon', { speed: { js: 10 }, slotsFreeSeconds: [1] }), device('slow')];
    assert.deepEqual(place(tasks(1, 30, { overdueSeconds: 20 }), two()), ['(soon)']);
    assert.deepEqual(place(tasks(1, 30, { overdueSeconds: 28 }), two()), ['slow']);
    const starved = device('starved', { capacity: always(0.05) });
    const late = device('late', { slotsFreeSeconds: [5] });
    assert.deepEqual(place(tasks(1, 30, { overdueSeconds: 60 }), [late, starved]), ['(late)']);
  });

  it('goes where its input is, where it does not fail, and where nobody leaves', () => {
    const input = { inputBytes: 20e6 };
    assert.deepEqual(place(tasks(1, 30, input), [device('far'), device('near', { nearBytes: 20e6 })]), ['near']);
    assert.deepEqual(place(tasks(1, 30, { avoid: ['a'] }), [device('a'), device('b', { speed: { js: 0.1 } })]), ['b']);
    assert.deepEqual(place(tasks(1, 30, { avoid: ['a'] }), [device('a')]), ['a'], 'when no other could ever run it');
    assert.deepEqual(place(tasks(1, 30), [device('comes-and-goes', { leavesPerSecond: 0.05 }), device('stays')]), [
      'stays',
    ]);
  });

  it('keeps off a device that is expected to need its memory before the task ends', () => {
    const memoryFree = { untilSeconds: [20], rates: [GiB, 100] };
    const tight = () => device('tight', { memoryFree, speed: { js: 2 } });
    const large = { memoryBytes: 1_000 };
    assert.deepEqual(place(tasks(1, 60, large), [tight(), device('roomy')]), ['roomy']);
    assert.deepEqual(place(tasks(1, 30, large), [tight(), device('roomy')]), ['tight'], 'it ends before that');
    assert.deepEqual(place(tasks(1, 60, large), [tight()]), ['()']);
    assert.deepEqual(place(tasks(1, 60, { ...large, mayWait: false }), [tight()]), ['tight']);
    assert.deepEqual(place(tasks(1, 60, { ...large, overdueSeconds: 1 }), [tight()]), ['tight']);
  });

  it('spreads equal tasks over equal devices', () => {
    const two = () => device('x', { slotsFreeSeconds: [0, 0] });
    assert.deepEqual(
      place(tasks(4, 10), [
        { ...two(), device: 'a' },
        { ...two(), device: 'b' },
      ]),
      ['a', 'b', 'a', 'b'],
    );
  });

  const rate = fc.double({ min: 0.05, max: 1, noNaN: true });
  const anyDevice = (name: string) =>
    fc
      .record({
        speed: fc.record({ js: fc.double({ min: 0.1, max: 10, noNaN: true }) }),
        slotsFreeSeconds: fc.array(fc.constantFrom(0, 0, 3, 40, Number.POSITIVE_INFINITY), {
          minLength: 1,
          maxLength: 4,
        }),
        capacity: fc
          .array(rate, { minLength: 3, maxLength: 3 })
          .map((rates) => sure({ untilSeconds: [10, 50], rates })),
        engines: fc.constantFrom(['js'], ['js'], ['js'], []),
        offeredMemoryBytes: fc.constantFrom(10, 100, GiB),
        leavesPerSecond: fc.constantFrom(0, 1e-5, 0.1),
      })
      .map((change) => device(name, { ...change, freeMemoryBytes: change.offeredMemoryBytes }));
  const fleet = fc.tuple(...['a', 'b', 'c', 'd'].map(anyDevice));
  const group = fc
    .record({ count: fc.integer({ min: 1, max: 20 }), seconds: fc.double({ min: 1, max: 500, noNaN: true }) })
    .chain(({ count, seconds }) =>
      fc.constantFrom(1, 50, 500).map((memoryBytes) => tasks(count, seconds, { memoryBytes })),
    );

  it('puts no device over its slots and memory, nothing where it cannot run, and says the same again', () => {
    fc.assert(
      fc.property(group, fleet, (some, devices) => {
        const copy = structuredClone(devices);
        const placements = byCost(some, devices);
        assert.deepEqual(byCost(some, copy), placements);
        assert.deepEqual(
          placements.map(({ task }) => task),
          some.slice(0, placements.length).map(({ task }) => task),
        );
        for (const [index, { freeSlots, freeMemoryBytes }] of devices.entries()) {
          const given = placements.filter((each) => 'device' in each && each.device === devices[index]!.device).length;
          assert.ok(freeSlots >= 0 && freeMemoryBytes >= 0);
          assert.ok(given === 0 || refusalForGood(some[0]!, devices[index]!) === undefined);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('starts a task rather than let it wait where that ends it no later', () => {
    fc.assert(
      fc.property(group, fleet, (some, devices) => {
        const weights = { makespan: 1, contention: 0, transfer: 0, risk: 0 };
        const [first] = byCost(some.slice(0, 1), structuredClone(devices), weights);
        if (first === undefined || !('waitsFor' in first) || first.waitsFor === undefined) return;
        const { finishSeconds } = first.waitsFor.expected.terms;
        const now = structuredClone(devices).filter(({ freeSlots }) => freeSlots > 0);
        const [here] = byCost([{ ...some[0]!, mayWait: false }], now, weights);
        if (here === undefined || !('device' in here)) return;
        assert.ok(here.alternatives[0]!.expected.terms.finishSeconds > finishSeconds);
      }),
      { numRuns: 500 },
    );
  });
});

describe('ranks of stages', () => {
  it('are the longest way to the end', () => {
    const stages = [
      { seconds: 1, needs: [] },
      { seconds: 5, needs: [0] },
      { seconds: 2, needs: [0] },
      { seconds: 3, needs: [1, 2] },
    ];
    assert.deepEqual([...rankStages(stages)], [9, 8, 5, 3]);
  });
});
