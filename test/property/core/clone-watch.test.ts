import assert from 'node:assert/strict';
import type { NodeStatus } from '@foremesh/node-runtime/contract';
import { type CloneWatch, createCloneWatch, rivalsOf, watchStatus } from '@foremesh/node-runtime/core';
import fc from 'fast-check';
import { nodeStatus } from '../../unit/core/samples.ts';

const numRuns = Math.max(1_000, Number(process.env.FOREMESH_FUZZ_RUNS ?? 0));

/** A machine that runs under the id `pi`. */
class Machine {
  readonly bootId: string;
  readonly #startedMs: number;
  readonly watch: CloneWatch;
  /** Published to it and not heard yet, in any order. */
  readonly pending: NodeStatus[] = [];
  seq = 0;
  ended = false;
  events = 0;

  constructor(bootId: string, startedMs: number) {
    this.bootId = bootId;
    this.#startedMs = startedMs;
    this.watch = createCloneWatch('pi', bootId);
  }

  status(online = true): NodeStatus {
    this.seq += 1;
    return nodeStatus('pi', { bootId: this.bootId, seq: this.seq, online, rivals: rivalsOf(this.watch) });
  }

  hear(status: NodeStatus, nowMs: number, publish: (status: NodeStatus) => void): void {
    if (this.ended) return;
    for (const effect of watchStatus(this.watch, status, nowMs - this.#startedMs)) {
      if (effect.type === 'announce') publish(this.status());
      else if (effect.type === 'event') this.events += 1;
      else {
        assert.equal(effect.problem.code, 'MESH_IDENTITY_CLONED');
        this.ended = true;
        publish(this.status(false));
      }
    }
  }
}

/** What boots that are dead left behind: they may have fought each other. */
const leftBehind = fc.array(
  fc.record({
    bootId: fc.constantFrom('boot-0', 'boot-1', 'boot-2'),
    seq: fc.nat(5),
    online: fc.boolean(),
    rivals: fc.array(fc.record({ bootId: fc.constantFrom('boot-0', 'boot-1', 'boot-2'), uptimeMs: fc.nat(100_000) }), {
      maxLength: 3,
    }),
  }),
  { maxLength: 8 },
);
const bootIds = fc.constantFrom(['boot-a', 'boot-b'] as const, ['boot-b', 'boot-a'] as const);
/** Which machine hears which of its pending messages, how much later, and whether it will hear it once more. */
const schedule = fc.array(
  fc.record({
    machine: fc.nat(1),
    which: fc.nat(),
    afterMs: fc.oneof(fc.constant(0), fc.nat(2_000)),
    again: fc.boolean(),
  }),
  { maxLength: 60, size: 'max' },
);

class World {
  nowMs = 0;
  readonly machines: Machine[] = [];
  readonly stale: NodeStatus[];
  published = 0;

  constructor(stale: readonly Partial<NodeStatus>[]) {
    this.stale = stale.map((change) => nodeStatus('pi', change));
  }

  /** With or without what the topic retains: not every broker delivers it. */
  start(bootId: string, retained: NodeStatus | undefined): Machine {
    const machine = new Machine(bootId, this.nowMs);
    machine.pending.push(...this.stale, ...(retained === undefined ? [] : [retained]));
    this.machines.push(machine);
    this.publish(machine.status());
    return machine;
  }

  readonly publish = (status: NodeStatus): void => {
    this.published += 1;
    assert.ok(this.published < 1_000, 'they never come to rest');
    for (const machine of this.machines) machine.pending.push(status);
  };

  step({ machine, which, afterMs, again }: { machine: number; which: number; afterMs: number; again: boolean }): void {
    this.nowMs += afterMs;
    const hearing = this.machines[machine % this.machines.length]!;
    if (hearing.pending.length === 0) return;
    const at = which % hearing.pending.length;
    const status = hearing.pending[at]!;
    if (!again) hearing.pending.splice(at, 1);
    hearing.hear(status, this.nowMs, this.publish);
  }

  rest(afterMs = 0): void {
    while (this.machines.some(({ pending }) => pending.length > 0)) {
      for (const machine of [0, 1]) this.step({ machine, which: 0, afterMs, again: false });
    }
  }
}

describe('clone watch', () => {
  it('ends exactly one of two machines with one identity, whatever comes when, twice or from the past', () => {
    fc.assert(
      fc.property(
        leftBehind,
        bootIds,
        schedule,
        fc.nat(60),
        fc.boolean(),
        (stale, [first, second], steps, startAt, seesRetained) => {
          const world = new World(stale);
          const a = world.start(first, undefined);
          const before = steps.slice(0, startAt);
          for (const step of before) world.step(step);
          const b = world.start(second, seesRetained ? a.status() : undefined);
          for (const step of steps.slice(startAt)) world.step(step);
          world.rest();
          assert.deepEqual([a.ended, b.ended].sort(), [false, true]);
          const survivor = a.ended ? b : a;
          assert.equal(survivor.events, 1, 'the one that stays says so once');
        },
      ),
      { numRuns },
    );
  });

  it('ends nobody for what dead boots left behind', () => {
    fc.assert(
      fc.property(leftBehind, schedule, (stale, steps) => {
        const world = new World(stale);
        const alone = world.start('boot-a', undefined);
        for (const step of steps) world.step(step);
        world.rest();
        assert.equal(alone.ended, false);
        assert.equal(alone.events, 0);
      }),
      { numRuns },
    );
  });

  it('lets the older one stay', () => {
    const world = new World([]);
    const old = world.start('boot-z', undefined);
    world.nowMs += 60_000;
    const young = world.start('boot-a', undefined);
    world.rest();
    assert.deepEqual([old.ended, young.ended], [false, true]);
  });

  it('names no more rivals than a status may, the newest', () => {
    const watch = createCloneWatch('pi', 'mine');
    for (let boot = 0; boot < 20; boot += 1) watchStatus(watch, nodeStatus('pi', { bootId: `b${boot}` }), boot);
    assert.deepEqual(
      rivalsOf(watch).map(({ bootId }) => bootId),
      Array.from({ length: 8 }, (_, n) => `b${n + 12}`),
    );
  });

  it('takes back the topic from the will of another boot', () => {
    const watch = createCloneWatch('pi', 'mine');
    assert.deepEqual(watchStatus(watch, nodeStatus('pi', { bootId: 'old', online: false }), 5), [{ type: 'announce' }]);
    assert.deepEqual(rivalsOf(watch), []);
    assert.deepEqual(watchStatus(watch, nodeStatus('pi', { bootId: 'mine', online: false }), 5), []);
    assert.deepEqual(watchStatus(watch, nodeStatus('bob', { bootId: 'old' }), 5), []);
  });
});
