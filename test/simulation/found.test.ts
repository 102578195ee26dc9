import assert from 'node:assert/strict';
import { runScenario, type Scenario } from '@foremesh/simulations';

/** Runs that broke a promise once, made smaller: they must not again. */
const found: readonly (readonly [name: string, scenario: Scenario])[] = [
  [
    'a voter that slept while the voters changed learns who asks for its vote',
    {
      seed: 5024,
      profile: 'nats',
      nodes: 5,
      mayLead: 5,
      voters: [{ atMs: 0, count: 5, settleMs: 300, replaceAfterMs: 8000 }],
      pace: 'quick',
      jobs: [
        { job: 'j0', kind: 'parts', submitMs: 3520 },
        { job: 'j3', kind: 'parts', submitMs: 14770 },
      ],
      faults: [
        { kind: 'change-crash', atMs: 54, forMs: 101, machine: 'leader' },
        { kind: 'id-clash', atMs: 5952, forMs: 16418, machine: 'n3' },
        { kind: 'full-disk', atMs: 7292, forMs: 30241, machine: 'leader' },
        { kind: 'power-cut', atMs: 13380, forMs: 338, machine: 'n3' },
        { kind: 'partition', atMs: 14443, forMs: 77, machine: 'leader' },
        { kind: 'lost-disk', atMs: 20383, forMs: 11002, machine: 'n2' },
        { kind: 'broker-lost-store', atMs: 26420, forMs: 875, machine: 'n3' },
        { kind: 'lost-disk', atMs: 28062, forMs: 59, machine: 'n3' },
        { kind: 'elected-crash', atMs: 31835, forMs: 73, machine: 'n4' },
      ],
      calmForMs: 0,
      faultsForMs: 42387,
      weather: { delayMostMs: 2, lossPercent: 0, dropPercent: 20, duplicatePercent: 0, lostWillPercent: 0 },
      fetchFailPercent: 0,
      throwPercent: 20,
      checkpointPercent: 0,
      strayPercent: 0,
      rivalCutPercent: 0,
      driftPermille: 0,
      syncMostMs: 2,
      inventoryIntervalMs: 10000,
      inventoryGraceMs: 1500,
    },
  ],
  [
    'those who were to become voters, and are gone, do not gather',
    {
      seed: 13120,
      profile: 'plain',
      nodes: 6,
      mayLead: 6,
      voters: [{ atMs: 0, settleMs: 10000, replaceAfterMs: 30000 }],
      pace: 'quick',
      jobs: [{ job: 'j2', kind: 'map', submitMs: 6470 }],
      faults: [
        { kind: 'lost-disk', atMs: 12062, forMs: 3766, machine: 'n4' },
        { kind: 'broker-restart', atMs: 15799, forMs: 4121, machine: 'leader' },
        { kind: 'lost-disk', atMs: 19177, forMs: 62, machine: 'n2' },
        { kind: 'lost-disk', atMs: 19530, forMs: 60, machine: 'n3' },
        { kind: 'kill', atMs: 19752, forMs: 65, machine: 'leader' },
        { kind: 'lost-disk', atMs: 20522, forMs: 52, machine: 'n1' },
      ],
      calmForMs: 0,
      faultsForMs: 20574,
      weather: { delayMostMs: 2, lossPercent: 5, dropPercent: 0, duplicatePercent: 0, lostWillPercent: 30 },
      fetchFailPercent: 0,
      throwPercent: 0,
      checkpointPercent: 0,
      strayPercent: 0,
      rivalCutPercent: 0,
      driftPermille: 0,
      syncMostMs: 200,
      inventoryIntervalMs: 10000,
      inventoryGraceMs: 1500,
    },
  ],
  [
    'a job is kept although it ended by a clock that was wrong by days',
    {
      seed: 3655,
      profile: 'nats',
      nodes: 7,
      mayLead: 4,
      voters: [
        { atMs: 0, count: 3, settleMs: 2000, replaceAfterMs: 8000 },
        { atMs: 17898, count: 3, settleMs: 300, replaceAfterMs: 2000 },
        { atMs: 18921, count: 3, settleMs: 300, replaceAfterMs: 30000 },
        { atMs: 24846, count: 3, settleMs: 2000, replaceAfterMs: 30000 },
        { atMs: 32823, count: 3, settleMs: 2000, replaceAfterMs: 30000 },
        { atMs: 34968, settleMs: 300, replaceAfterMs: 30000, count: 3 },
        { atMs: 36439, count: 3, settleMs: 300, replaceAfterMs: 30000 },
        { atMs: 39372, settleMs: 300, replaceAfterMs: 30000, count: 3 },
        { atMs: 45590, count: 3, settleMs: 300, replaceAfterMs: 2000 },
      ],
      pace: 'patient',
      jobs: [
        { job: 'j0', kind: 'labelled', submitMs: 40547 },
        { job: 'j1', kind: 'diamond', submitMs: 5564 },
        { job: 'j3', kind: 'cancelled', submitMs: 13782 },
        { job: 'j4', kind: 'cancelled', submitMs: 38944 },
      ],
      faults: [
        { kind: 'id-clash', atMs: 12691, forMs: 7516, machine: 'leader' },
        { kind: 'kill', atMs: 17348, forMs: 22, machine: 'n0' },
      ],
      calmForMs: 5000,
      faultsForMs: 49661,
      weather: { delayMostMs: 5000, lossPercent: 5, dropPercent: 0, duplicatePercent: 40, lostWillPercent: 30 },
      fetchFailPercent: 0,
      throwPercent: 0,
      checkpointPercent: 0,
      strayPercent: 0,
      rivalCutPercent: 0,
      driftPermille: 0,
      syncMostMs: 30,
      inventoryIntervalMs: 10000,
      inventoryGraceMs: 1500,
    },
  ],
];

describe('simulation: what was found', () => {
  for (const [name, scenario] of found) {
    it(name, function () {
      this.timeout(30_000);
      assert.equal(runScenario(scenario).violation?.message, undefined);
    });
  }
});
