import assert from 'node:assert/strict';
import { type Device, type PlaceableTask, placeByCurrentRoom, refusalForGood } from '@foremesh/partitioner';
import fc from 'fast-check';

const labels = fc.subarray(['gpu', 'camera', 'roof']);
const devices: fc.Arbitrary<Device[]> = fc.uniqueArray(
  fc.record({
    device: fc.constantFrom('ada', 'bob', 'cyd', 'dan', 'eve'),
    engines: fc.subarray(['js', 'wasm']),
    labels,
    speed: fc.oneof(
      fc.constant({}),
      fc.record({ js: fc.double({ min: 0.01, max: 1e9, noNaN: true }), wasm: fc.constantFrom(0.5, 1, 20) }),
    ),
    coreShare: fc.double({ min: 0, max: 1, noNaN: true }),
    isNear: fc.boolean(),
    freeSlots: fc.integer({ min: 0, max: 3 }),
    freeQueue: fc.integer({ min: 0, max: 3 }),
    freeMemoryBytes: fc.integer({ min: -50, max: 300 }),
    offeredMemoryBytes: fc.integer({ min: 0, max: 300 }),
  }),
  { selector: (device) => device.device, maxLength: 5, size: 'max' },
) as fc.Arbitrary<Device[]>;
const tasks: fc.Arbitrary<PlaceableTask[]> = fc.array(
  fc.record({
    task: fc.stringMatching(/^[a-z]{1,4}-\d$/),
    engine: fc.constantFrom('js', 'wasm', 'node'),
    labels,
    memoryBytes: fc.integer({ min: 1, max: 300 }),
    avoid: fc.subarray(['ada', 'bob', 'cyd']),
  }),
  { maxLength: 12, size: 'max' },
);

function property(check: (tasks: PlaceableTask[], devices: Device[]) => void): void {
  fc.assert(fc.property(tasks, devices, check), { numRuns: 1_000 });
}

describe('placement by current room', () => {
  it('answers for every task, in order, and only with devices that are there', () => {
    property((some, on) => {
      const placements = placeByCurrentRoom(some, structuredClone(on));
      assert.deepEqual(
        placements.map((placement) => placement.task),
        some.map((task) => task.task),
      );
      for (const placement of placements) {
        if ('device' in placement) assert.ok(on.some((device) => device.device === placement.device));
        else
          assert.deepEqual(
            placement.refusals.map((refusal) => refusal.device),
            on.map((device) => device.device),
          );
      }
    });
  });

  it('never gives a device more than its free slots, its free queue, or its free memory at once', () => {
    property((some, on) => {
      const after = structuredClone(on);
      const placements = placeByCurrentRoom(some, after);
      for (const [index, before] of on.entries()) {
        const mine = some.filter((_, at) => {
          const placement = placements[at]!;
          return 'device' in placement && placement.device === before.device;
        });
        assert.ok(mine.length <= before.freeSlots + before.freeQueue, `${before.device} got ${mine.length}`);
        const { freeSlots, freeQueue, freeMemoryBytes } = after[index]!;
        assert.ok(freeSlots >= 0 && freeQueue >= 0);
        assert.ok(freeMemoryBytes >= Math.min(0, before.freeMemoryBytes), 'started what does not fit');
        assert.equal(before.freeSlots - freeSlots + before.freeQueue - freeQueue, mine.length);
      }
    });
  });

  it('keeps to engines, labels and offered memory', () => {
    property((some, on) => {
      const placements = placeByCurrentRoom(some, structuredClone(on));
      for (const [at, placement] of placements.entries()) {
        const task = some[at]!;
        if (!('device' in placement)) {
          for (const [index, { refusal }] of placement.refusals.entries()) {
            assert.equal(refusal === 'busy' ? undefined : refusal, refusalForGood(task, on[index]!));
          }
          continue;
        }
        const device = on.find((each) => each.device === placement.device)!;
        assert.ok(device.engines.includes(task.engine));
        assert.ok(task.labels.every((label) => device.labels.includes(label)));
        assert.ok(task.memoryBytes <= device.offeredMemoryBytes);
      }
    });
  });

  it('goes where the task has failed only when no other device could ever run it', () => {
    property((some, on) => {
      for (const [at, placement] of placeByCurrentRoom(some, structuredClone(on)).entries()) {
        const task = some[at]!;
        if (!('device' in placement) || !task.avoid.includes(placement.device)) continue;
        const others = on.filter(
          (device) => !task.avoid.includes(device.device) && refusalForGood(task, device) === undefined,
        );
        assert.deepEqual(others, []);
      }
    });
  });

  it('a start now beats any wait, however fast the device it would wait for', () => {
    property((some, on) => {
      const left = structuredClone(on);
      for (const task of some) {
        const able = left.filter((device) => refusalForGood(task, device) === undefined);
        const preferred = able.filter((device) => !task.avoid.includes(device.device));
        const among = preferred.length > 0 ? preferred : able;
        const canStart = new Set(
          among
            .filter((each) => each.freeSlots > 0 && each.freeMemoryBytes >= task.memoryBytes)
            .map((each) => each.device),
        );
        const [placement] = placeByCurrentRoom([task], left);
        if (canStart.size > 0)
          assert.ok(placement !== undefined && 'device' in placement && canStart.has(placement.device));
      }
    });
  });

  it('leaves nothing unplaced while a device that could take it has room', () => {
    property((some, on) => {
      const left = structuredClone(on);
      for (const task of some) {
        const able = left.filter(
          (device) => refusalForGood(task, device) === undefined && !task.avoid.includes(device.device),
        );
        const room = able.some(
          (device) => device.freeQueue > 0 || (device.freeSlots > 0 && device.freeMemoryBytes >= task.memoryBytes),
        );
        const [placement] = placeByCurrentRoom([task], left);
        if (room) assert.ok(placement !== undefined && 'device' in placement);
      }
    });
  });

  it('is deterministic', () => {
    property((some, on) => {
      assert.deepEqual(placeByCurrentRoom(some, structuredClone(on)), placeByCurrentRoom(some, structuredClone(on)));
    });
  });

  it('takes the faster device, the near one of such as are about as fast, spreads, and takes the first of equals', () => {
    const device = (name: string, speed: number, isNear = false): Device => {
      const memory = { freeMemoryBytes: 100, offeredMemoryBytes: 100 };
      return {
        device: name,
        engines: ['js'],
        labels: [],
        speed: { js: speed },
        coreShare: 1,
        isNear,
        freeSlots: 2,
        freeQueue: 0,
        ...memory,
      };
    };
    const task = { task: 't', engine: 'js', labels: [], memoryBytes: 1, avoid: [] };
    const where = (on: Device[], count: number) =>
      placeByCurrentRoom(
        Array.from({ length: count }, () => task),
        on,
      ).map((placement) => ('device' in placement ? placement.device : '-'));
    assert.deepEqual(where([device('slow', 1), device('fast', 3)], 1), ['fast']);
    assert.deepEqual(where([device('a', 1), device('b', 1)], 5), ['a', 'b', 'a', 'b', '-']);
    // Equal machines are never measured as quite equal.
    assert.deepEqual(where([device('far', 1.05), device('near', 1, true)], 3), ['near', 'far', 'near']);
    assert.deepEqual(where([device('far', 1.2), device('near', 1, true)], 1), ['far']);
  });
});
