import assert from 'node:assert/strict';
import { Chance, Timeline, VirtualDisk } from '@foremesh/simulations';
import fc from 'fast-check';

function diskWith(seed: number) {
  const time = new Timeline();
  return { time, disk: new VirtualDisk(time, new Chance(seed), 20) };
}

describe('simulation: virtual disk', () => {
  it('keeps what was synced, and of the rest some beginning with at most one flipped bit', () => {
    const one = (seed: number, synced: Uint8Array, unsynced: Uint8Array) => {
      const { time, disk } = diskWith(seed);
      disk.append('log', synced);
      disk.sync('log', () => undefined);
      time.advance(1_000);
      disk.append('log', unsynced);
      disk.crash(true);
      const found = disk.read('log')!;
      assert.deepEqual(found.slice(0, synced.length), synced);
      const rest = found.slice(synced.length);
      assert.ok(rest.length <= unsynced.length);
      const bits = rest.reduce(
        (sum, byte, at) => sum + (byte ^ unsynced[at]!).toString(2).replaceAll('0', '').length,
        0,
      );
      assert.ok(bits <= 1);
    };
    const some = fc.uint8Array({ maxLength: 50 });
    fc.assert(fc.property(fc.integer(), some, some, one), { numRuns: 300 });
  });

  it('answers no sync of a process that died, and none well when it is full', () => {
    const { time, disk } = diskWith(1);
    const answers: (string | undefined)[] = [];
    disk.append('log', new Uint8Array([1]));
    disk.sync('log', (error) => answers.push(error?.message));
    disk.crash(false);
    time.advance(1_000);
    assert.deepEqual([answers, disk.read('log')], [[], new Uint8Array([1])]);
    disk.sync('log', (error) => answers.push(error?.message));
    disk.full = true;
    assert.throws(() => disk.append('log', new Uint8Array([2])), /no space/);
    assert.throws(() => disk.replaceNow('term', new Uint8Array([2])), /no space/);
    time.advance(2_000);
    assert.deepEqual(answers, ['no space left on device']);
  });

  it('replaces a file as a whole or not at all', () => {
    for (let seed = 0; seed < 20; seed += 1) {
      const { time, disk } = diskWith(seed);
      disk.replaceNow('term', new Uint8Array([1]));
      disk.replace('term', new Uint8Array([2, 2]), () => undefined);
      time.advance(seed);
      disk.crash(true);
      assert.ok(['1', '2,2'].includes(disk.read('term')!.join()));
    }
  });
});
