import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type VoterSettings, wantedVoters } from '../../../node-runtime/core/index.ts';

const names = ['ada', 'bob', 'cyd', 'dan', 'eve', 'fay', 'gus'];
const nowMs = 1_000;

interface Case {
  readonly voters: readonly string[];
  readonly presentSinceMs: ReadonlyMap<string, number>;
  readonly awaySinceMs: ReadonlyMap<string, number>;
  readonly settings: VoterSettings;
}

const sinceMs = fc.integer({ min: 0, max: nowMs });
const cases: fc.Arbitrary<Case> = fc
  .record({
    order: fc.shuffledSubarray(names, { minLength: names.length }),
    votersCount: fc.constantFrom(1, 2, 3, 4, 5),
    present: fc.uniqueArray(fc.tuple(fc.constantFrom(...names), sinceMs), { selector: ([name]) => name }),
    away: fc.uniqueArray(fc.tuple(fc.constantFrom(...names), sinceMs), { selector: ([name]) => name }),
    count: fc.constantFrom(undefined, 1 as const, 3 as const, 5 as const),
    settleMs: fc.integer({ min: 0, max: nowMs }),
    replaceAfterMs: fc.integer({ min: 0, max: nowMs }),
  })
  .map(({ order, votersCount, present, away, count, settleMs, replaceAfterMs }) => {
    const voters = order.slice(0, votersCount);
    const isAway = (name: string) => voters.includes(name) && name !== voters[0];
    return {
      voters,
      presentSinceMs: new Map(present),
      awaySinceMs: new Map(away.filter(([name]) => isAway(name))),
      settings: { ...(count === undefined ? {} : { count }), settleMs, replaceAfterMs },
    };
  });

/** The first of `voters` leads. */
function wanted({ voters, presentSinceMs, awaySinceMs, settings }: Case): string[] {
  const seats = { presentSinceMs: new Map(presentSinceMs), awaySinceMs: new Map(awaySinceMs) };
  return wantedVoters(seats, { voters, learners: [] }, voters[0]!, settings, nowMs);
}

const isGone = ({ awaySinceMs, settings }: Case, voter: string) =>
  nowMs - (awaySinceMs.get(voter) ?? nowMs) > settings.replaceAfterMs;
const hasSettled = ({ presentSinceMs, awaySinceMs, settings }: Case, node: string) =>
  !awaySinceMs.has(node) && nowMs - (presentSinceMs.get(node) ?? Number.POSITIVE_INFINITY) >= settings.settleMs;

describe('who should vote', () => {
  it('the leader, nobody twice, and nobody new who has not settled', () => {
    fc.assert(
      fc.property(cases, (each) => {
        const among = wanted(each);
        assert.equal(among[0], each.voters[0]);
        assert.equal(new Set(among).size, among.length);
        for (const node of among) assert.ok(each.voters.includes(node) || hasSettled(each, node), node);
      }),
    );
  });

  it('as many as are wanted, if there are nodes for it; never more', () => {
    fc.assert(
      fc.property(cases, (each) => {
        const { count } = each.settings;
        if (count === undefined) return;
        const settled = names.filter((name) => !each.voters.includes(name) && hasSettled(each, name)).length;
        const among = wanted(each);
        assert.ok(among.length <= count);
        if (each.voters.length + settled >= count) assert.equal(among.length, count);
      }),
    );
  });

  it('left to the mesh their number grows to 1, 3 or 5 and never falls', () => {
    fc.assert(
      fc.property(cases, (each) => {
        if (each.settings.count !== undefined) return;
        const among = wanted(each);
        assert.ok(among.length >= each.voters.length);
        if (among.length > each.voters.length) assert.ok([1, 3, 5].includes(among.length), String(among.length));
      }),
    );
  });

  it('a voter that is there keeps its seat unless fewer are wanted; one that is gone loses it to one that has settled', () => {
    fc.assert(
      fc.property(cases, (each) => {
        const among = wanted(each);
        const stays = each.voters.filter((voter) => !isGone(each, voter));
        if (among.length >= stays.length) for (const voter of stays) assert.ok(among.includes(voter), voter);
        const waits = names.some(
          (name) => !each.voters.includes(name) && hasSettled(each, name) && !among.includes(name),
        );
        if (waits)
          assert.ok(!among.some((voter) => each.voters.includes(voter) && voter !== among[0] && isGone(each, voter)));
      }),
    );
  });

  it('does not change its mind: what is wanted of those who vote then is the same', () => {
    fc.assert(
      fc.property(cases, (each) => {
        const among = wanted(each);
        assert.deepEqual([...wanted({ ...each, voters: among })].sort(), [...among].sort());
      }),
    );
  });
});
