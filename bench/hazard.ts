// How well the leaving of nodes is foretold: Brier scores beside those of base rates, over generated comings and goings.
import { leavingHazards } from '@foremesh/models';
import { generators, Random, type Stay } from './hazard/generators.ts';
import { round } from './spine/statistics.ts';

const json = process.argv.includes('--json');
const seed = 20_130_701;
const nodes = 40;
const days = 70;
/** Forecasts are judged from here on; before, nodes are only seen. */
const judgedFromDay = 21;
const minuteMs = 60_000;
const dayMs = 1_440 * minuteMs;
const steps = 30;
/** Steps that are judged, in minutes ahead. */
const judged = [5, 15, 30];
/** Minutes between two forecasts of a node, on average. */
const originMinutes = 47;

interface Case {
  readonly forecast: number;
  /** What the node's own past rate says, and the fleet's. */
  readonly ownRate: number;
  readonly left: boolean;
}

/** All cases of one kind of machine, per judged step: nodes live through their days together, and nothing is known ahead. */
function casesOf(name: string): Case[][] {
  const random = new Random(seed);
  const hazards = leavingHazards();
  const events = Array.from({ length: nodes }, (_, node) => {
    const stays = generators[name]!(random, days);
    const hazard = hazards.open();
    const origins: { atMs: number; stay: Stay }[] = [];
    for (const stay of stays) {
      for (let atMs = stay.cameMs; ; ) {
        atMs += random.exponential(originMinutes * minuteMs);
        if (atMs >= stay.leftMs) break;
        origins.push({ atMs, stay });
      }
    }
    return { node, hazard, stays, origins };
  });
  const timeline = events.flatMap(({ node, hazard, stays, origins }) => [
    ...stays.map(({ cameMs }) => ({ atMs: cameMs, node, hazard, what: 'came' as const })),
    ...stays.map(({ leftMs }) => ({ atMs: leftMs, node, hazard, what: 'left' as const })),
    ...origins.map(({ atMs, stay }) => ({ atMs, node, hazard, what: stay })),
  ]);
  timeline.sort((one, other) => one.atMs - other.atMs);

  const own = events.map(() => ({ departures: 0, presentMs: 0, cameMs: 0 }));
  const cases: Case[][] = judged.map(() => []);
  for (const { atMs, node, hazard, what } of timeline) {
    const past = own[node]!;
    if (what === 'came') past.cameMs = atMs;
    if (what === 'left') {
      past.departures += 1;
      past.presentMs += atMs - past.cameMs;
    }
    if (what === 'came' || what === 'left') {
      hazard.observe(what, atMs);
      continue;
    }
    if (atMs < judgedFromDay * dayMs) continue;
    const forecast = hazard.forecast(atMs, steps, minuteMs);
    const presentMs = past.presentMs + atMs - past.cameMs;
    for (const [index, step] of judged.entries()) {
      const aheadMs = step * minuteMs;
      cases[index]!.push({
        forecast: forecast[step - 1]!,
        ownRate: 1 - Math.exp((-past.departures / presentMs) * aheadMs),
        left: what.leftMs <= atMs + aheadMs,
      });
    }
  }
  return cases;
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const brier = (cases: readonly Case[], probability: (one: Case) => number) =>
  mean(cases.map((one) => (probability(one) - (one.left ? 1 : 0)) ** 2));

/** Mean distance between what was said and what happened, over tenths of the cases by what was said. */
function calibrationError(cases: readonly Case[]): number {
  const sorted = [...cases].sort((one, other) => one.forecast - other.forecast);
  const size = Math.ceil(sorted.length / 10);
  const tenths = Array.from({ length: 10 }, (_, tenth) => sorted.slice(tenth * size, (tenth + 1) * size));
  return mean(
    tenths.map((part) =>
      Math.abs(mean(part.map(({ forecast }) => forecast)) - mean(part.map(({ left }) => (left ? 1 : 0)))),
    ),
  );
}

const report: Record<string, number> = { 'hazard.seed': seed };
for (const name of Object.keys(generators)) {
  const begin = process.cpuUsage();
  const byStep = casesOf(name);
  const { user, system } = process.cpuUsage(begin);
  for (const [index, step] of judged.entries()) {
    const cases = byStep[index]!;
    const baseRate = mean(cases.map(({ left }) => (left ? 1 : 0)));
    const key = `hazard.${name}.${step}min`;
    report[`${key}.brier`] = round(
      brier(cases, ({ forecast }) => forecast),
      5,
    );
    report[`${key}.baseRateBrier`] = round(
      brier(cases, () => baseRate),
      5,
    );
    report[`${key}.ownRateBrier`] = round(
      brier(cases, ({ ownRate }) => ownRate),
      5,
    );
    report[`${key}.baseRate`] = round(baseRate, 4);
    report[`${key}.meanForecast`] = round(mean(cases.map(({ forecast }) => forecast)), 4);
    report[`${key}.calibrationError`] = round(calibrationError(cases), 4);
  }
  report[`hazard.${name}.cases`] = byStep[0]!.length;
  report[`hazard.${name}.cpuUsPerForecast`] = round((user + system) / byStep[0]!.length, 1);
}

const lines = Object.entries(report).map(([key, value]) => `${key.padEnd(44)} ${value}`);
process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : `${lines.join('\n')}\n`);
