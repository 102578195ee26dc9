import { calmWeather } from '../engine/broker.ts';
import { type RunResult, runScenario } from '../run.ts';
import { type Fault, type Scenario, usualInventories } from '../scenario/scenario.ts';

export interface Shrunk {
  readonly scenario: Scenario;
  readonly result: RunResult;
  readonly tries: number;
}

export interface ShrinkOptions {
  readonly run?: (scenario: Scenario) => RunResult;
  readonly triesMost?: number;
}

/**
 * Makes a failing scenario smaller as long as the same promise is broken: fewer faults, jobs and nodes, fairer weather, a
 * shorter run. Undefined when the scenario does not fail.
 */
export function shrink(scenario: Scenario, options: ShrinkOptions = {}): Shrunk | undefined {
  const { run = runScenario, triesMost = 400 } = options;
  let best = scenario;
  let result = run(scenario);
  const checker = result.violation?.checker;
  if (checker === undefined) return undefined;
  let tries = 1;
  const attempt = (smaller: Scenario): boolean => {
    if (tries >= triesMost) return false;
    tries += 1;
    const found = run(smaller);
    if (found.violation?.checker !== checker) return false;
    best = smaller;
    result = found;
    return true;
  };
  for (let moved = true; moved && tries < triesMost; ) {
    moved = false;
    const dropped = (list: 'faults' | 'jobs') => {
      for (let size = Math.max(1, best[list].length >> 1); size >= 1; size >>= 1) {
        for (let at = best[list].length - size; at >= 0; at -= size) {
          const without = [...best[list].slice(0, at), ...best[list].slice(at + size)];
          if (list === 'jobs' && without.length === 0) continue;
          if (attempt({ ...best, [list]: without })) moved = true;
        }
      }
    };
    dropped('faults');
    dropped('jobs');
    for (const smaller of simpler(best)) if (attempt(smaller(best))) moved = true;
  }
  return { scenario: best, result, tries };
}

/** Ways to make it simpler, each of which must still be one when it is taken. */
function simpler(from: Scenario): ((best: Scenario) => Scenario)[] {
  const ways: ((best: Scenario) => Scenario)[] = [];
  if (from.nodes > 1) {
    ways.push((best) => ({
      ...best,
      nodes: best.nodes - 1,
      mayLead: Math.min(best.mayLead, best.nodes - 1),
      faults: best.faults.filter(({ machine }) => machine !== `n${best.nodes - 1}`),
    }));
  }
  if (from.voters.length > 1) ways.push((best) => ({ ...best, voters: best.voters.slice(0, 1) }));
  if (from.voters[0]?.count !== 1) {
    ways.push((best) => ({ ...best, voters: best.voters.map((wish) => ({ ...wish, count: 1 as const })) }));
    ways.push((best) => ({ ...best, voters: best.voters.map((wish) => ({ ...wish, count: 3 as const })) }));
  }
  if (from.profile !== 'plain') ways.push((best) => ({ ...best, profile: 'plain' }));
  for (const key of Object.keys(calmWeather) as (keyof typeof calmWeather)[]) {
    if (from.weather[key] > calmWeather[key]) {
      ways.push((best) => ({ ...best, weather: { ...best.weather, [key]: calmWeather[key] } }));
    }
  }
  for (const key of [
    'fetchFailPercent',
    'throwPercent',
    'checkpointPercent',
    'strayPercent',
    'rivalCutPercent',
    'driftPermille',
  ] as const) {
    if (from[key] > 0) ways.push((best) => ({ ...best, [key]: 0 }));
  }
  for (const key of Object.keys(usualInventories) as (keyof typeof usualInventories)[]) {
    if (from[key] !== usualInventories[key]) ways.push((best) => ({ ...best, [key]: usualInventories[key] }));
  }
  if (from.faultsForMs > 2_000) ways.push((best) => shorter(best));
  for (const at of from.faults.keys()) {
    if (from.faults[at]!.forMs > 100) {
      ways.push((best) => ({
        ...best,
        faults: best.faults.map((fault, index) => (index === at ? halved(fault) : fault)),
      }));
    }
  }
  return ways;
}

function halved(fault: Fault): Fault {
  return { ...fault, forMs: Math.ceil(fault.forMs / 2) };
}

/** Faults end with the last thing that was planned, or halfway. */
function shorter(best: Scenario): Scenario {
  const planned = [
    ...best.faults.map(({ atMs, forMs }) => atMs + forMs),
    ...best.jobs.map(({ submitMs }) => submitMs + 100),
  ];
  const lastMs = Math.max(1_000, ...planned);
  const faultsForMs = lastMs < best.faultsForMs ? lastMs : Math.ceil(best.faultsForMs / 2);
  const faults = best.faults
    .filter(({ atMs }) => atMs < faultsForMs)
    .map((fault) => ({ ...fault, forMs: Math.min(fault.forMs, faultsForMs - fault.atMs) }));
  const jobs = best.jobs.map((job) => ({ ...job, submitMs: Math.min(job.submitMs, faultsForMs) }));
  return { ...best, faultsForMs, calmForMs: Math.min(best.calmForMs, faultsForMs), faults, jobs };
}
