import type { VoterSettings } from '@foremesh/node-runtime/core';
import type { brokerProfiles, Weather } from '../engine/broker.ts';
import { Chance } from '../engine/chance.ts';
import { type JobOptions, jobKinds } from './virtual-jobs.ts';

export const faultKinds = [
  'kill',
  'power-cut',
  'lost-disk',
  'pause',
  'reset',
  'stale-flush',
  'partition',
  'partition-up',
  'partition-down',
  'frozen-subscriber',
  'id-clash',
  'full-disk',
  'clock-jump',
  'broker-restart',
  'broker-lost-store',
  'elected-crash',
  'change-crash',
  'blackout',
  'flipped-bits',
] as const;
export type FaultKind = (typeof faultKinds)[number];
/** These are drawn on their own. */
const usualKinds = faultKinds.filter((kind) => kind !== 'blackout' && kind !== 'flipped-bits');

export interface Fault {
  readonly kind: FaultKind;
  readonly atMs: number;
  /** Until it is mended; never later than the end of all faults. */
  readonly forMs: number;
  /** Whom it strikes: a node by its first name, or whoever leads then. The broker's faults name one too, and mean all. */
  readonly machine: string;
}

/** What a person wants of the voters, from then on. */
export interface VoterWish extends VoterSettings {
  readonly atMs: number;
}

/** Of the virtual voters: a few times faster or slower than real ones, as runs are short and delays long. */
export const raftPaces = {
  quick: { heartbeatMs: 400, electionLeastMs: 1_800, electionMostMs: 3_200 },
  patient: { heartbeatMs: 1_000, electionLeastMs: 5_000, electionMostMs: 8_000 },
} as const;

/** Everything that a run depends on. Plain data: it can be printed, made smaller, and run again. */
export interface Scenario {
  readonly seed: number;
  readonly profile: keyof typeof brokerProfiles;
  readonly nodes: number;
  /** The first so many of them may vote and lead. */
  readonly mayLead: number;
  readonly voters: readonly VoterWish[];
  readonly pace: keyof typeof raftPaces;
  readonly jobs: readonly JobOptions[];
  readonly faults: readonly Fault[];
  /** Until then nothing goes wrong, so that there are voters enough for what comes. */
  readonly calmForMs: number;
  /** Weather and faults end then. */
  readonly faultsForMs: number;
  readonly weather: Weather;
  readonly fetchFailPercent: number;
  /** Of the tasks that shall succeed: those that throw once or twice before. */
  readonly throwPercent: number;
  /** Of the attempts: those that make checkpoints. */
  readonly checkpointPercent: number;
  /** Of the proposals: those that come with one that is too late, as of another leader. */
  readonly strayPercent: number;
  /** Of the proposals: those that come with a cut of what is cut, or a split of what is not done. */
  readonly rivalCutPercent: number;
  /** How wrong clocks run: at most this, in thousandths. */
  readonly driftPermille: number;
  readonly syncMostMs: number;
  /** How often nodes are asked what they have: often, so that answers and assignments cross. */
  readonly inventoryIntervalMs: number;
  /** How long a leader waits for inventories: long, so that nodes come and go meanwhile. */
  readonly inventoryGraceMs: number;
}

/** What a mesh does unless a scenario says otherwise. */
export const usualInventories = { inventoryIntervalMs: 10_000, inventoryGraceMs: 1_500 };

/** The first node is the founder: the first voter, and the first leader. */
export const founder = 'n0';

/** Strikes whoever leads at that moment. */
export const whoLeads = 'leader';

export function scenarioOf(seed: number): Scenario {
  const chance = new Chance(seed).fork('scenario');
  const quiet = chance.percent(10);
  const alone = chance.percent(30);
  const nodes = alone ? chance.between(1, 4) : chance.between(3, 7);
  const calmForMs = alone ? 0 : chance.pick([0, 5_000, 12_000]);
  const faultsForMs = calmForMs + chance.between(alone ? 2_000 : 8_000, alone ? 90_000 : 75_000);
  const when = { fromMs: calmForMs, untilMs: faultsForMs };
  const jobs = Array.from({ length: chance.between(1, 5) }, (_, number) => ({
    job: `j${number}`,
    kind: quiet ? chance.pick(jobKinds.slice(0, 6)) : chance.pick(jobKinds),
    submitMs: chance.between(0, faultsForMs),
  }));
  const count = quiet ? 0 : chance.pick([0, 1, 2, 4, 8, 16, 30]);
  const faults = Array.from({ length: count }, () => inventFault(chance, nodes, when)).flatMap((fault) =>
    withCompany(chance, fault, nodes, faultsForMs),
  );
  const voters = inventWishes(chance, alone, faultsForMs);
  // Whoever changes the voters shall fall now and then while doing so.
  if (count > 0 && !alone) {
    const traps = Array.from({ length: voters.length > 2 ? 6 : 2 }, () =>
      inventFault(chance, nodes, when, ['change-crash']),
    );
    faults.push(...traps);
  }
  const dark = new Chance(seed).fork('blackout');
  if (count > 0 && dark.percent(12)) faults.push(inventFault(dark, nodes, when, ['blackout']));
  const marks = new Chance(seed).fork('checkpoints');
  const checkpointPercent = marks.pick([0, 40, 100]);
  if (count > 0 && checkpointPercent > 0 && marks.percent(50)) {
    const flips = Array.from({ length: marks.pick([1, 2, 6, 20]) }, () =>
      inventFault(marks, nodes, when, ['flipped-bits']),
    );
    faults.push(...flips.flatMap((fault) => withCompany(marks, fault, nodes, faultsForMs)));
  }
  const none = (some: readonly number[]) => (quiet ? 0 : chance.pick(some));
  return {
    seed,
    profile: chance.pick(['plain', 'nats', 'rabbit'] as const),
    nodes,
    mayLead: alone || chance.percent(75) ? nodes : chance.between(3, nodes),
    voters,
    pace: chance.pick(['quick', 'patient'] as const),
    jobs,
    faults: faults.sort((a, b) => a.atMs - b.atMs),
    calmForMs,
    faultsForMs,
    weather: {
      delayMostMs: quiet ? 20 : chance.pick(alone ? [2, 50, 500, 5_000] : [2, 2, 50, 50, 500, 5_000]),
      lossPercent: none(alone ? [0, 5, 50] : [0, 0, 5, 5, 50]),
      dropPercent: none([0, 0, 5, 20]),
      duplicatePercent: none([0, 10, 40]),
      lostWillPercent: none([0, 30]),
    },
    fetchFailPercent: none([0, 0, 20]),
    throwPercent: none([0, 20]),
    checkpointPercent,
    strayPercent: none([0, 0, 10]),
    rivalCutPercent: quiet ? 0 : new Chance(seed).fork('cuts').pick([0, 0, 50]),
    driftPermille: none([0, 1, 30]),
    syncMostMs: chance.pick([2, 30, 200]),
    inventoryIntervalMs: chance.pick([usualInventories.inventoryIntervalMs, usualInventories.inventoryIntervalMs, 300]),
    inventoryGraceMs: chance.pick([usualInventories.inventoryGraceMs, 10_000]),
  };
}

/** Voters who come to be, and are replaced, within the few minutes of a run. */
function inventWishes(chance: Chance, alone: boolean, faultsForMs: number): VoterWish[] {
  const wish = (atMs: number, counts: readonly (1 | 3 | 5 | undefined)[]): VoterWish => {
    const count = chance.pick(counts);
    const patience = {
      settleMs: chance.pick([300, 300, 2_000, 10_000]),
      replaceAfterMs: chance.pick([2_000, 8_000, 30_000]),
    };
    return { atMs, ...(count === undefined ? {} : { count }), ...patience };
  };
  if (alone) return [wish(0, [1])];
  const wishes = [wish(0, [undefined, undefined, 3, 3, 5])];
  // Somebody who cannot make up his mind: voters that change are where elections and decisions go wrong.
  const more = chance.pick([0, 0, 1, 8]);
  while (wishes.length <= more) wishes.push(wish(chance.between(1_000, faultsForMs), [undefined, 1, 3, 3, 5, 5]));
  return wishes.sort((a, b) => a.atMs - b.atMs);
}

function inventFault(
  chance: Chance,
  nodes: number,
  { fromMs, untilMs }: { readonly fromMs: number; readonly untilMs: number },
  kinds: readonly FaultKind[] = usualKinds,
): Fault {
  const anyone = chance.percent(50) ? whoLeads : `n${chance.between(0, nodes - 1)}`;
  const kind = chance.pick(kinds);
  // What a leader of the past still says is what the fence is for.
  const machine = kind === 'stale-flush' && chance.percent(60) ? whoLeads : anyone;
  const atMs = chance.between(fromMs, untilMs - 1);
  return {
    kind,
    atMs,
    forMs: Math.min(untilMs - atMs, chance.between(1, chance.pick([500, 10_000, 40_000]))),
    machine,
  };
}

/** Faults that say most together. */
function withCompany(chance: Chance, fault: Fault, nodes: number, faultsForMs: number): Fault[] {
  const forMs = Math.min(fault.forMs, chance.between(1, 1_000));
  // One that wakes up when another leads.
  if (fault.kind === 'pause' && fault.machine === whoLeads && chance.percent(60)) {
    return [{ ...fault, forMs: Math.min(faultsForMs - fault.atMs, chance.between(6_000, 20_000)) }];
  }
  // What is flushed late, when its sender is another by then.
  if (fault.kind === 'stale-flush' && chance.percent(60)) {
    return [fault, { ...fault, kind: 'kill', atMs: fault.atMs + chance.between(0, fault.forMs >> 2), forMs }];
  }
  // An election, so that somebody is struck at the moment of it.
  if (fault.kind === 'elected-crash') {
    const kind = chance.pick(['kill', 'pause', 'partition', 'partition-up'] as const);
    return [fault, { ...fault, kind, machine: whoLeads }];
  }
  // A state that is spoiled, and wanted.
  if (fault.kind === 'flipped-bits') {
    const atMs = fault.atMs + chance.between(0, 600);
    const machine = `n${chance.between(0, nodes - 1)}`;
    return atMs + forMs > faultsForMs ? [fault] : [fault, { kind: 'kill', atMs, forMs, machine }];
  }
  // A node that dies while a new leader still asks who has what.
  const leaderDies = (fault.kind === 'kill' || fault.kind === 'power-cut') && fault.machine === whoLeads;
  if (leaderDies && nodes > 1 && chance.percent(80)) {
    const atMs = fault.atMs + fault.forMs + chance.between(500, 6_000);
    const machine = `n${chance.between(0, nodes - 1)}`;
    return atMs + forMs > faultsForMs ? [fault] : [fault, { kind: 'kill', atMs, forMs, machine }];
  }
  return [fault];
}

/** Nothing in it can lose a message or an attempt. */
export function isUndisturbed({ faults, weather, fetchFailPercent, throwPercent, jobs }: Scenario): boolean {
  const { lossPercent, dropPercent, duplicatePercent, delayMostMs } = weather;
  const calm = lossPercent === 0 && dropPercent === 0 && duplicatePercent === 0 && delayMostMs <= 500;
  const jobsEndWell = jobs.every(({ kind }) => kind !== 'doomed' && kind !== 'cancelled');
  return calm && jobsEndWell && faults.length === 0 && fetchFailPercent === 0 && throwPercent === 0;
}
