import assert from 'node:assert/strict';
import { limits, type VotersLink } from '@foremesh/node-runtime/contract';
import { type Claim, proveTerm, type Trust } from '@foremesh/node-runtime/core';
import fc from 'fast-check';
import { type Happening, History, histories, linkBy, meshId, newTrust, people } from './trust-history.ts';

const numRuns = Math.max(100, Number(process.env.FOREMESH_FUZZ_RUNS ?? 0));

/** Carries out what happens, and looks after each. */
function follow(happenings: readonly Happening[], look: (history: History, at: number) => void): History {
  const history = new History();
  look(history, 0);
  for (const [at, what] of happenings.entries()) {
    history.happen(what);
    look(history, at + 1);
  }
  return history;
}

/** Many changes of voters, of whom one stays. */
const longHistories: fc.Arbitrary<Happening[]> = fc
  .array(
    fc.record({
      voters: fc.uniqueArray(fc.nat(people.length - 1), { maxLength: 5 }).map((some) => [...new Set([0, ...some])]),
      elections: fc.array(fc.nat(), { maxLength: 2 }),
    }),
    { minLength: limits.votersLinks + 10, maxLength: 2 * limits.votersLinks },
  )
  .map((changes) =>
    changes.flatMap(({ voters, elections }): Happening[] => [
      { kind: 'propose', voters },
      ...elections.map((n): Happening => ({ kind: 'elect', candidate: n, voters: n >> 3, losesEntry: false })),
      { kind: 'commit' },
    ]),
  );

function change(...voters: number[]): Happening[] {
  return [{ kind: 'propose', voters }, { kind: 'commit' }, { kind: 'propose', voters }, { kind: 'commit' }];
}

/** Of that voter, by as few as will do. */
function election(candidate: number): Happening {
  return { kind: 'elect', candidate, voters: 0, losesEntry: false };
}

/** A stranger makes itself the voter, and elects itself. */
function takenOver(history: History, stranger: (typeof people)[number]): Claim {
  const claim = history.nextClaim([stranger.node], stranger.node);
  const link = linkBy(stranger, 1_000, claim.proof.term, { voters: [stranger.node] });
  return { ...claim, chain: [...claim.chain, link] };
}

/** Another letter in the middle: the signature of nobody. */
function forged(signature: string): string {
  return signature.slice(0, 40) + (signature[40] === 'A' ? 'B' : 'A') + signature.slice(41);
}

describe('trust', () => {
  it('of who knows nothing but the id of the mesh reaches every leader whose electors are certified', () => {
    fc.assert(
      fc.property(histories, (happenings) => {
        follow(happenings, (history) => {
          const trust = newTrust();
          const verdict = proveTerm(trust, history.claim());
          if (history.shows) assert.deepEqual(verdict, { accepted: true, changed: true });
          if (verdict.accepted) assert.equal(trust.record.leader?.node, history.leader.node);
        });
      }),
      { numRuns },
    );
  });

  it('follows from any point, over any restart, hears twice and late, and never goes back', () => {
    fc.assert(
      fc.property(histories, fc.array(fc.nat(40)), fc.array(fc.nat(40)), (happenings, misses, restarts) => {
        let trust: Trust = newTrust();
        const past: Claim[] = [];
        follow(happenings, (history, at) => {
          const claim = history.claim();
          past.push(claim);
          if (misses.includes(at)) return;
          if (restarts.includes(at)) trust = newTrust(JSON.parse(JSON.stringify(trust.record)));
          // Who was away may hear of a leader of the past, together with the chain of today.
          if (restarts.includes(at + 1)) proveTerm(trust, { ...past[at - (at % 5)]!, chain: claim.chain });
          const verdict = proveTerm(trust, claim);
          if (history.shows) assert.equal(verdict.accepted, true, JSON.stringify(verdict));
          if (verdict.accepted) assert.deepEqual(proveTerm(trust, claim), { accepted: true, changed: false });
          for (const old of past) {
            const { term, leader } = trust.record;
            proveTerm(trust, old);
            assert.ok(trust.record.term >= term);
            if (trust.record.term === term) assert.deepEqual(trust.record.leader, leader);
          }
          assert.ok(trust.record.term <= history.term);
        });
      }),
      { numRuns },
    );
  });

  it('is not raised by fewer votes than a quorum, nor by who is no voter', () => {
    fc.assert(
      fc.property(histories, fc.nat(), (happenings, some) => {
        const history = follow(happenings, () => undefined);
        const voters = history.votersAtRest;
        if (voters === undefined || !history.shows) return;
        const trust = newTrust();
        assert.ok(proveTerm(trust, history.claim()).accepted);
        const few = voters.slice(0, Math.ceil(voters.length / 2) - (voters.length % 2));
        const stranger = people.find(({ node }) => !voters.includes(node))!;
        const claims = [
          history.nextClaim(few, voters[0]!),
          // The same vote many times is one.
          history.nextClaim(Array<string>(6).fill(voters[some % voters.length]!), voters[0]!),
          history.nextClaim(voters, stranger.node),
          history.nextClaim([...few, stranger.node, stranger.node], voters[0]!),
          history.nextClaim(voters, voters[0]!, 'A'.repeat(43)),
          takenOver(history, stranger),
        ].filter((_, at) => voters.length > 1 || at === 2 || at > 3);
        const { record } = trust;
        for (const claim of claims) assert.equal(proveTerm(trust, claim).accepted, false);
        assert.equal(trust.record, record);
        assert.equal(proveTerm(trust, history.nextClaim(voters, voters[0]!)).accepted, true);
      }),
      { numRuns },
    );
  });

  it('is not raised by a claim of which anything was changed', () => {
    fc.assert(
      fc.property(histories, fc.nat(), (happenings, some) => {
        const history = follow(happenings, () => undefined);
        if (!history.shows) return;
        const claim = history.claim();
        const { proof, leader } = claim;
        const other = people.find(({ node }) => node !== leader.node)!;
        const changed: Claim[] = [
          { ...claim, proof: { ...proof, term: proof.term + 1 } },
          { ...claim, proof: { ...proof, mesh: 'A'.repeat(43) } },
          { ...claim, proof: { ...proof, candidate: other.node } },
          { ...claim, proof: { ...proof, candidate: other.node }, leader: other },
          { ...claim, leader: { node: leader.node, publicKey: other.publicKey } },
          { ...claim, leader: { node: other.node, publicKey: leader.publicKey } },
          ...people.filter(({ node }) => node !== leader.node).map((each) => ({ ...claim, leader: each })),
          {
            ...claim,
            proof: { ...proof, votes: proof.votes.map((vote) => ({ ...vote, signature: forged(vote.signature) })) },
          },
        ];
        for (const each of changed) {
          const trust = newTrust();
          const verdict = proveTerm(trust, each);
          assert.equal(verdict.accepted, false, JSON.stringify(each));
          assert.equal(trust.record.term, 0);
        }
        // With one link forged what comes behind it is not followed; the term is raised only by voters that are.
        const at = some % Math.max(1, claim.chain.length);
        const chain = claim.chain.map(
          (link, n): VotersLink => (n === at ? { ...link, signature: forged(link.signature) } : link),
        );
        const trust = newTrust();
        proveTerm(trust, { ...claim, chain });
        assert.ok(trust.record.links.every((link) => chain.indexOf(link) !== at));
      }),
      { numRuns },
    );
  });

  it('reaches the leader over a chain that was shortened, whether one led all the time or many did', () => {
    fc.assert(
      fc.property(longHistories, fc.boolean(), (happenings, elects) => {
        const kept = elects ? happenings : happenings.filter(({ kind }) => kind !== 'elect');
        let follower: Trust = newTrust();
        follow(kept, (history, at) => {
          if (!history.shows || at % 7 > 0) return;
          for (const trust of [newTrust(), follower]) assert.equal(proveTerm(trust, history.claim()).accepted, true);
          assert.ok(follower.record.links.length <= limits.votersLinks);
          follower = newTrust(follower.record);
        });
      }),
      { numRuns: numRuns / 10 },
    );
  });

  it('keeps in the chain who elected the leader, however often it has changed the voters since', () => {
    // Bob is elected by cyd and himself; by the voters before he could not have been without ada.
    const changes = Array.from({ length: 40 }, (_, n) => change(0, 1, 3 + (n % 4))).flat();
    const history = follow(
      [...change(0, 1), election(1), ...change(0, 1, 2), election(1), ...changes],
      () => undefined,
    );
    assert.equal(history.leader.node, 'bob');
    assert.equal(history.claim().chain.length, limits.votersLinks);
    assert.deepEqual(proveTerm(newTrust(), history.claim()), { accepted: true, changed: true });
  });

  it('remembers who may have elected the next leader when it hears of changes before it hears of that leader', () => {
    const history = follow([...change(0, 1, 2), election(1)], () => undefined);
    const before = history.claim();
    for (const what of [election(2), ...change(0, 1, 2, 3).slice(0, 2)]) history.happen(what);
    const claim = history.claim();
    const trust = newTrust();
    assert.equal(proveTerm(trust, { ...before, chain: claim.chain }).accepted, true);
    assert.equal(trust.record.leader?.node, 'bob');
    assert.deepEqual(proveTerm(newTrust(trust.record), claim), { accepted: true, changed: true });
  });

  it('begins with the founder, who elects itself', () => {
    const trust = newTrust();
    const history = new History();
    assert.deepEqual(proveTerm(trust, history.claim()), { accepted: true, changed: true });
    assert.deepEqual(trust.record, { term: 1, leader: { node: 'ada', publicKey: meshId }, links: [] });
    const verdict = proveTerm(newTrust(), history.nextClaim(['bob'], 'bob'));
    assert.deepEqual(verdict, {
      accepted: false,
      changed: false,
      reason: 'bob is no voter, or has another key',
    });
  });
});
