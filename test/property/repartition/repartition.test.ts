import assert from 'node:assert/strict';
import {
  type Assignment,
  findUnderutilizedDevices,
  type MonitoredDevice,
  type Move,
  repartitionDefaults as options,
  type Repartition,
  repartitionTask,
} from '@foremesh/partitioner';
import fc from 'fast-check';
import { randomOf } from '../../support/generated.ts';
import { assignmentOn, deviceNamed, exactly } from '../../unit/repartition/samples.ts';

const stepSeconds = 5;
const steps = 40;
const movesMost = 2;

interface Running {
  readonly task: string;
  readonly seconds: number;
  device: string;
  doneSeconds: number;
  hasStarted: boolean;
  endsAt: number;
  readonly cameAt: number[];
}

/** A mesh whose devices give more and less at random, with forecasts that are no better than chance. */
class Mesh {
  nowSeconds = 0;
  readonly tasks: Running[] = [];
  readonly #uniform: () => number;
  readonly #devices: { readonly name: string; readonly slots: number; readonly memoryBytes: number }[];

  constructor(seed: number) {
    this.#uniform = randomOf(seed).uniform;
    const between = (low: number, high: number) => low + Math.floor(this.#uniform() * (high - low + 1));
    this.#devices = Array.from({ length: between(2, 5) }, (_, number) => ({
      name: `d${number}`,
      slots: between(1, 2),
      memoryBytes: between(1, 3) * 100,
    }));
    for (const { name, slots, memoryBytes } of this.#devices) {
      for (let number = between(0, slots); number > 0; number -= 1) {
        if (this.#on(name).length * 100 >= memoryBytes) break;
        const seconds = between(5, 200);
        const task = `t${this.tasks.length}`;
        this.tasks.push({
          ...{ task, seconds, device: name, doneSeconds: 0, hasStarted: this.#uniform() < 0.7 },
          ...{ endsAt: seconds, cameAt: [] },
        });
      }
    }
  }

  #on(device: string): Running[] {
    return this.tasks.filter((each) => each.device === device);
  }

  assignments(): Assignment[] {
    return this.tasks.map(({ task, device, seconds, doneSeconds, hasStarted, endsAt, cameAt }) =>
      assignmentOn(device, {
        task,
        hasStarted,
        leftSeconds: exactly(Math.max(0.1, seconds - doneSeconds)),
        elsewhereSeconds: exactly(seconds),
        expectedEndSeconds: endsAt - this.nowSeconds,
        ageSeconds: this.nowSeconds - (cameAt.at(-1) ?? 0),
        ...(cameAt.length === 0 ? {} : { movedSeconds: this.nowSeconds - cameAt.at(-1)! }),
      }),
    );
  }

  devices(): MonitoredDevice[] {
    return this.#devices.map(({ name, slots, memoryBytes }) => {
      const on = this.#on(name);
      const rates = Array.from({ length: 4 }, () => 0.02 + 0.98 * this.#uniform() ** 2);
      const curve = (factor: number) => ({ untilSeconds: [5, 20, 60], rates: rates.map((rate) => rate * factor) });
      return deviceNamed(name, {
        slots,
        freeSlots: slots - on.length,
        freeMemoryBytes: memoryBytes - on.length * 100,
        offeredMemoryBytes: memoryBytes,
        capacity: { q10: curve(0.7), q50: curve(0.85), q90: curve(1), demand: 1 },
      });
    });
  }

  apply({ task, move }: Move): void {
    const running = this.tasks.find((each) => each.task === task)!;
    running.device = move.to[0]!.device;
    running.doneSeconds = 0;
    running.hasStarted = true;
    running.endsAt = this.nowSeconds + move.expected.terms.finishSeconds;
    running.cameAt.push(this.nowSeconds);
  }

  advance(devices: readonly MonitoredDevice[]): void {
    this.nowSeconds += stepSeconds;
    for (const each of this.tasks) {
      const { capacity } = devices.find(({ device }) => device === each.device)!;
      if (each.hasStarted) each.doneSeconds += stepSeconds * capacity.q50.rates[0]!;
    }
    for (const { task, seconds, doneSeconds } of [...this.tasks])
      if (doneSeconds >= seconds)
        this.tasks.splice(
          this.tasks.findIndex((each) => each.task === task),
          1,
        );
  }
}

/** A whole life of a mesh: what was seen and decided in each step. */
function live(
  seed: number,
  look: (
    mesh: Mesh,
    devices: readonly MonitoredDevice[],
    assignments: readonly Assignment[],
    found: Repartition,
  ) => void,
): void {
  const mesh = new Mesh(seed);
  for (let step = 0; step < steps; step += 1) {
    const devices = mesh.devices();
    const assignments = mesh.assignments();
    const found = repartitionTask({ movesLeft: movesMost }, assignments, { devices });
    look(mesh, devices, assignments, found);
    for (const move of found.moves) mesh.apply(move);
    mesh.advance(devices);
  }
}
const seeds = fc.integer({ min: 0, max: 2 ** 31 });

describe('property: repartitioning', () => {
  it('lets nothing bounce, however futures waver: whatever moved stays for its cool-down, and moves are bounded', () => {
    let moved = 0;
    fc.assert(
      fc.property(seeds, (seed) => {
        live(seed, (_, __, assignments, { moves }) => {
          assert.ok(moves.length <= movesMost);
          assert.equal(new Set(moves.map(({ task }) => task)).size, moves.length, 'each at most once');
          for (const { task } of moves) {
            const { movedSeconds } = assignments.find((each) => each.task === task)!;
            assert.ok((movedSeconds ?? options.coolDownSeconds) >= options.coolDownSeconds, `${task} ${movedSeconds}`);
          }
          moved += moves.length;
        });
      }),
    );
    assert.ok(moved > 100, `something moved: ${moved}`);
  });

  it('takes no device over its offer', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        live(seed, (mesh, devices, assignments, { moves }) => {
          const idle = new Set(findUnderutilizedDevices({ devices }, assignments).map(({ device }) => device));
          for (const { from, move } of moves)
            assert.ok(move.to.every(({ device }) => idle.has(device) && device !== from));
          for (const { device, slots, freeMemoryBytes, freeSlots } of devices) {
            const coming = moves.filter(({ move }) => move.to.some((part) => part.device === device)).length;
            assert.ok(coming <= freeSlots && coming * 100 <= freeMemoryBytes, `${coming} to ${device}`);
            assert.ok(mesh.tasks.filter((each) => each.device === device).length + coming <= slots);
          }
        });
      }),
    );
  });

  it('moves only where what is gained exceeds what the move is charged; says of all that stays why', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        live(seed, (_, __, assignments, { moves, stays }) => {
          for (const { move, stay, alternatives } of moves) {
            assert.equal(move, alternatives[0]);
            assert.ok(Math.abs(stay.terms.total - move.expected.terms.total - move.gainSeconds) < 1e-6);
            assert.ok(move.gainSeconds > move.chargeSeconds + options.gainLeastSeconds);
            assert.ok(move.gainSeconds > options.gainLeastShare * move.expected.terms.total);
          }
          const looked = [...moves, ...stays].map(({ task }) => task);
          assert.equal(new Set(looked).size, looked.length);
          assert.ok(looked.every((task) => assignments.some((each) => each.task === task)));
          for (const { why, alternatives } of stays)
            assert.equal(why === 'no-device', alternatives.length === 0 && why !== 'cool-down');
        });
      }),
    );
  });

  it('decides the same of the same, and changes nothing that it is given', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        live(seed, (_, devices, assignments, found) => {
          const before = JSON.stringify([assignments, devices]);
          assert.deepEqual(repartitionTask({ movesLeft: movesMost }, assignments, { devices }), found);
          assert.equal(JSON.stringify([assignments, devices]), before);
        });
      }),
      { numRuns: 30 },
    );
  });

  it('moves nothing back by itself: where all comes as it was forecast nothing returns to what it left, also without a cool-down', () => {
    let all = 0;
    fc.assert(
      fc.property(seeds, (seed) => {
        const mesh = new Mesh(seed);
        const devices = mesh.devices().map((device) => {
          const steady = { untilSeconds: [], rates: [device.capacity.q50.rates[0]!] };
          return { ...device, capacity: { q10: steady, q50: steady, q90: steady, demand: 1 } };
        });
        const left = new Set<string>();
        for (let step = 0; step < steps; step += 1) {
          const now = mesh.devices().map((each, at) => ({ ...each, capacity: devices[at]!.capacity }));
          const calm = { ...options, coolDownSeconds: 0 };
          for (const move of repartitionTask({ movesLeft: 8, options: calm }, mesh.assignments(), { devices: now })
            .moves) {
            const [to] = move.move.to;
            assert.ok(!left.has(`${move.task} ${to!.device}`), `${move.task} returns to ${to!.device}`);
            left.add(`${move.task} ${move.from}`);
            all += 1;
            mesh.apply(move);
          }
          mesh.advance(now);
        }
      }),
    );
    assert.ok(all > 10, `something moved: ${all}`);
  });
});
