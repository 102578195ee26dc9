import assert from 'node:assert/strict';
import {
  type Assignment,
  canMigrate,
  findOverloadedDevices,
  findUnderutilizedDevices,
  type MonitoredDevice,
  repartitionDefaults as options,
  repartitionTask,
} from '@foremesh/partitioner';
import { assignmentOn, busyDevice, deviceNamed, exactly, flat } from './samples.ts';

const onBob = (change: Partial<Assignment> = {}) => assignmentOn('bob', change);
const waiting = (change: Partial<Assignment> = {}) =>
  onBob({ hasStarted: false, leftSeconds: exactly(100), expectedEndSeconds: 100, ageSeconds: 0, ...change });
/** From so much later on, so little. */
const later = (seconds: number, rate: number) => ({ untilSeconds: [seconds], rates: [1, rate] });
const [cyd, dan] = [deviceNamed('cyd'), deviceNamed('dan')];

function repartition(assignments: readonly Assignment[], devices: readonly MonitoredDevice[], movesLeft = 8) {
  return repartitionTask({ movesLeft }, assignments, { devices });
}
const movesOf = (assignments: readonly Assignment[], devices: readonly MonitoredDevice[], movesLeft = 8) =>
  repartition(assignments, devices, movesLeft).moves.map(({ task, from, move }) => ({
    ...{ task, from, kind: move.kind },
    to: move.to.map(({ device }) => device),
  }));

describe('repartitioning: devices', () => {
  const overloads = (capacity: ReturnType<typeof later> | ReturnType<typeof flat>, assignment = onBob()) =>
    findOverloadedDevices({ devices: [busyDevice('bob', capacity), cyd] }, [assignment]);

  it('are overloaded once a sub-task drifts by more than a quarter of what it was predicted to take', () => {
    assert.deepEqual(overloads(flat(1)), []);
    assert.deepEqual(overloads(flat(1), onBob({ leftSeconds: exactly(64) })), [], '24 s late, of 100');
    const [overload] = overloads(flat(1), onBob({ leftSeconds: exactly(66) }));
    assert.deepEqual([overload!.device, overload!.because], ['bob', 'late']);
    assert.ok(Math.abs(overload!.driftShare - 0.26) < 1e-9);
  });

  it('are overloaded once they give less than three quarters of what they could', () => {
    assert.deepEqual(overloads(flat(0.76)), []);
    const [overload] = overloads(flat(0.74));
    assert.deepEqual([overload!.because, overload!.inSeconds], ['busy-now', 0]);
  });

  it('are overloaded by what is forecast while they still give all', () => {
    const [overload] = overloads(later(20, 0.1));
    assert.deepEqual([overload!.because, overload!.inSeconds], ['busy-soon', 20]);
    assert.ok(overload!.driftShare > 1);
    assert.deepEqual(overloads(later(50, 0.1)), [], 'it will have ended by then');
  });

  it('are overloaded by what waits there for a slot, also when it was predicted to', () => {
    const assignments = [onBob(), waiting({ task: 'next', expectedEndSeconds: 140 })];
    const devices = [busyDevice('bob', flat(1)), cyd];
    assert.equal(findOverloadedDevices({ devices }, assignments)[0]!.because, 'queue');
  });

  it('come the worst first; those with a free slot that give most are underutilized', () => {
    const devices = [
      busyDevice('bob', flat(0.5)),
      busyDevice('eve', flat(0.1)),
      { ...busyDevice('cyd', flat(0.4)), freeSlots: 1 },
      deviceNamed('dan', { isWithheld: true }),
      deviceNamed('fay', { speed: { js: 0.5 } }),
      { ...busyDevice('gus', later(60, 0)), freeSlots: 1 },
    ];
    const assignments = [onBob(), assignmentOn('eve')];
    assert.deepEqual(
      findOverloadedDevices({ devices }, assignments).map(({ device }) => device),
      ['eve', 'bob'],
    );
    assert.deepEqual(
      findUnderutilizedDevices({ devices }, assignments).map(({ device }) => device),
      ['gus', 'fay', 'cyd'],
    );
  });
});

describe('repartitioning: sub-tasks', () => {
  const why = (assignment: Assignment, device = cyd, staySeconds = 400) => {
    const answer = canMigrate(assignment, device, staySeconds, options);
    return answer.can ? undefined : answer.why;
  };

  it('stay where something depends on them, where their input would be too long on its way, and after a move', () => {
    assert.equal(why(onBob()), undefined);
    assert.equal(why(onBob({ isEnding: true })), 'ending');
    assert.equal(why(onBob({ isCopied: true })), 'copied');
    assert.equal(why(onBob({ hasChannels: true })), 'channels');
    assert.equal(why(waiting({ hasChannels: true })), undefined, 'it has said nothing yet');
    assert.equal(why(onBob({ movedSeconds: 29.9 })), 'cool-down');
    assert.equal(why(onBob({ movedSeconds: 30 })), undefined);
    assert.equal(why(onBob({ inputBytes: 399_000 })), undefined);
    assert.equal(why(onBob({ inputBytes: 400_000 })), 'transfer');
  });

  it('do not go where they may not run', () => {
    assert.equal(why(onBob({ engine: 'wasm' })), 'engine');
    assert.equal(why(onBob({ labels: ['gpu'] })), 'labels');
    assert.equal(why(onBob({ memoryBytes: 2_000 })), 'memory');
    assert.equal(why(onBob(), deviceNamed('cyd', { freeMemoryBytes: 50 })), 'memory-now');
    assert.equal(why(onBob(), deviceNamed('cyd', { isWithheld: true })), 'withheld');
    assert.equal(why(onBob({ avoid: ['cyd'] })), 'failed-there');
  });
});

describe('repartitioning: moves', () => {
  it('what has not begun goes to the device that will end it first', () => {
    const devices = [busyDevice('bob', flat(0.1), { freeSlots: 1 }), deviceNamed('cyd', { speed: { js: 0.5 } }), dan];
    assert.deepEqual(movesOf([waiting()], devices), [{ task: 'of-bob', from: 'bob', kind: 'reassign', to: ['dan'] }]);
  });

  it('what runs is begun anew elsewhere only when that pays: early, or when its device nearly stops', () => {
    const restart = [{ task: 'of-bob', from: 'bob', kind: 'restart', to: ['cyd'] }];
    // 40 of 100 s are left: at a tenth 400 s here, 100 s there.
    assert.deepEqual(movesOf([onBob()], [busyDevice('bob', flat(0.1)), cyd]), restart);
    // At half 80 s here: 60 s of work would be lost.
    assert.deepEqual(movesOf([onBob()], [busyDevice('bob', flat(0.5)), cyd]), []);
    // Early: 95 of 100 s are left, 190 s here.
    const early = onBob({ leftSeconds: exactly(95), expectedEndSeconds: 95, ageSeconds: 5 });
    assert.deepEqual(movesOf([early], [busyDevice('bob', flat(0.4)), cyd]), restart);
    // With a checkpoint nothing but the way is lost.
    const saved = onBob({ elsewhereSeconds: exactly(40) });
    assert.deepEqual(movesOf([saved], [busyDevice('bob', flat(0.4)), cyd]), restart);
  });

  it('leaves before the device is busy, by the forecast', () => {
    const saved = onBob({ elsewhereSeconds: exactly(40) });
    assert.equal(movesOf([saved], [busyDevice('bob', later(5, 0.05)), cyd]).length, 1);
  });

  it('does not go where it will be busy as well', () => {
    const devices = [busyDevice('bob', later(5, 0.1)), { ...busyDevice('cyd', later(5, 0.1)), freeSlots: 1 }];
    const { moves, stays } = repartition([onBob({ elsewhereSeconds: exactly(40) })], devices);
    assert.deepEqual(moves, []);
    assert.equal(stays[0]!.why, 'would-not-pay');
  });

  it('says of what stays why, and what else there was', () => {
    const { stays } = repartition([onBob()], [busyDevice('bob', flat(0.5)), cyd, deviceNamed('dan', { engines: [] })]);
    const [stay] = stays;
    assert.equal(stay!.why, 'would-not-pay');
    assert.deepEqual([stay!.overload.because, stay!.stay.terms.finishSeconds], ['busy-now', 80]);
    assert.deepEqual(
      stay!.alternatives.map(({ kind, to, chargeSeconds }) => [kind, to[0]!.device, chargeSeconds]),
      [['restart', 'cyd', 60 + options.moveSeconds]],
    );
    const alone = repartition([onBob()], [busyDevice('bob', flat(0.1))]);
    assert.equal(alone.stays[0]!.why, 'no-device');
    const cooling = repartition([onBob({ movedSeconds: 1 })], [busyDevice('bob', flat(0.1)), cyd]);
    assert.equal(cooling.stays[0]!.why, 'cool-down');
  });

  it('moves what gains most, as many as may move and as there is room for', () => {
    const slow = assignmentOn('eve', { task: 'slow' });
    const devices = [busyDevice('bob', flat(0.1)), busyDevice('eve', flat(0.05)), cyd, dan];
    const tasks = (movesLeft: number, among = devices) =>
      movesOf([onBob(), slow], among, movesLeft).map(({ task }) => task);
    assert.deepEqual(tasks(8), ['slow', 'of-bob']);
    assert.deepEqual(tasks(1), ['slow']);
    assert.deepEqual(tasks(8, devices.slice(0, 3)), ['slow']);
    const { stays } = repartition([onBob(), slow], devices, 1);
    assert.equal(stays[0]!.why, 'budget');
  });

  it('what waits behind a sub-task that moves away counts on its slot', () => {
    const devices = [busyDevice('bob', flat(1)), cyd, dan];
    const behind = waiting({ task: 'behind', expectedEndSeconds: 100 });
    // One of the two leaves: with the slot free, or another found, there is nothing more to gain.
    assert.equal(movesOf([onBob({ leftSeconds: exactly(100) }), behind], devices).length, 1);
  });

  it('cuts anew what can be, where several devices are idle and its own nearly stops', () => {
    const divisible = onBob({ isDivisible: true });
    const [move] = movesOf([divisible], [busyDevice('bob', flat(0.05)), cyd, dan]);
    assert.deepEqual([move!.kind, move!.to], ['resplit', ['cyd', 'dan']]);
    const [alone] = movesOf([divisible], [busyDevice('bob', flat(0.05)), cyd]);
    assert.equal(alone!.kind, 'restart');
    assert.deepEqual(movesOf([divisible], [busyDevice('bob', flat(0.7)), cyd, dan]), [], 'too late for that');
  });

  it('moves live where both devices can: then almost nothing is lost', () => {
    const frozen = onBob({ frozen: { bytes: 100, pauseSeconds: 0.05 } });
    const bob = busyDevice('bob', flat(0.4));
    assert.deepEqual(movesOf([frozen], [bob, cyd]), []);
    const live = movesOf([frozen], [{ ...bob, movesLive: true }, deviceNamed('cyd', { movesLive: true })]);
    assert.equal(live[0]!.kind, 'live');
  });
});
