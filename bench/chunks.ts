// Chunk sizes of a data-parallel stage: finishing time over what hindsight could do, policies side by side on the same seeds.
import { policies } from './chunks/policies.ts';
import { type Scenario, score } from './chunks/world.ts';
import { round } from './spine/statistics.ts';

const json = process.argv.includes('--json');
const seedsAt = process.argv.indexOf('--seeds');
const seeds = seedsAt < 0 ? 100 : Number(process.argv[seedsAt + 1]);
const scenarios: readonly Scenario[] = ['calm', 'drift', 'churn'];

const report: Record<string, number> = {};
for (const scenario of scenarios) {
  for (const devices of [4, 16, 64]) {
    for (const [name, make] of Object.entries(policies)) {
      let sum = 0;
      for (let seed = 1; seed <= seeds; seed += 1) sum += score(() => make(scenario), scenario, devices, seed);
      report[`chunks.${scenario}.${devices}.${name}`] = round(sum / seeds, 4);
    }
    const of = (name: string) => report[`chunks.${scenario}.${devices}.${name}`]!;
    report[`chunks.${scenario}.${devices}.overWeighted`] = round(of('foremesh') / of('weighted'), 4);
    process.stderr.write(
      `${scenario}, ${devices} devices: ${Object.keys(policies)
        .map((name) => `${name} ${of(name).toFixed(3)}`)
        .join(', ')}\n`,
    );
  }
}
if (json) process.stdout.write(`${JSON.stringify({ ...report, seeds })}\n`);
else for (const [key, value] of Object.entries(report)) process.stdout.write(`${key.padEnd(40)} ${value}\n`);
