import fc from 'fast-check';
import { RaftFleet } from './raft-fleet.ts';

const numRuns = Math.max(30, Number(process.env.FOREMESH_FUZZ_RUNS ?? 0));

describe('raft, on a network that loses, doubles, delays and cuts', () => {
  it('elects one leader per term, loses nothing that is committed, and goes on when faults stop', function () {
    this.timeout(60_000 + numRuns * 1_000);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 - 1 }), (seed) => new RaftFleet(seed).run()),
      { numRuns, endOnFailure: true },
    );
  });
});
