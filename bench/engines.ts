// Engines: the same CPU-bound task in each, what it costs, start included. They take turns, so that noise hits all.
import { runners } from './engines/runners.ts';
import { loadAverage } from './spine/proc.ts';
import { median, round } from './spine/statistics.ts';

const json = process.argv.includes('--json');
const turns = 3;
const warmRuns = 3;

const notes = [`load average at the start: ${loadAverage()}`, `${turns} turns, ${warmRuns} warm runs in each`];
const taken = new Map(
  runners.map(({ name }) => [name, { coldMs: [] as number[], wallMs: [] as number[], cpuMs: [] as number[] }]),
);
for (let turn = 1; turn <= turns; turn += 1) {
  for (const { name, turn: take } of runners) {
    const { coldMs, warm } = await take(warmRuns);
    const figures = taken.get(name)!;
    figures.coldMs.push(coldMs);
    figures.wallMs.push(...warm.map(({ wallMs }) => wallMs));
    figures.cpuMs.push(...warm.map(({ cpuMs }) => cpuMs));
    process.stderr.write(
      `turn ${turn}/${turns} ${name}: ${Math.round(coldMs)} ms with its start, then ${Math.round(median(figures.cpuMs))} ms\n`,
    );
  }
}
notes.push(`load average at the end: ${loadAverage()}`);

const plainCpuMs = median(taken.get('v8')!.cpuMs);
const report: Record<string, number | string[]> = {};
for (const [name, { coldMs, wallMs, cpuMs }] of taken) {
  report[`engines.${name}.coldMs`] = round(median(coldMs), 1);
  report[`engines.${name}.warmMs`] = round(median(wallMs), 1);
  report[`engines.${name}.cpuMs`] = round(median(cpuMs), 1);
  report[`engines.${name}.ratio`] = round(median(cpuMs) / plainCpuMs, 2);
}
report.notes = notes;
if (json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
else {
  const rows = Object.entries(report).map(
    ([key, value]) => `${key.padEnd(24)} ${Array.isArray(value) ? value.join('; ') : value}`,
  );
  process.stdout.write(`${rows.join('\n')}\n`);
}
