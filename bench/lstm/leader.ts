// A leader of 1,000 nodes with three series each: what TensorFlow.js and one network cost it. Run by bench/lstm.ts.
import { readFileSync } from 'node:fs';
import type { SeriesWindow } from '@foremesh/models';
import { createTrainer, readGlobalModel } from '@foremesh/node-runtime/shell';
import { residentMiB } from '../spine/proc.ts';
import { median, round } from '../spine/statistics.ts';

const seriesCount = 3_000;
const rounds = 5;
/** A day of minutes. */
const historySteps = 1_440;
/** Enough to see what training takes in memory. */
const updates = 20;

const histories: SeriesWindow[] = Array.from({ length: seriesCount }, (_, series) => ({
  values: Float64Array.from({ length: historySteps }, (_, index) => 50 + 30 * Math.sin(index / 9 + series)),
  range: { low: 0, high: 100 },
  intervalMs: 60_000,
}));
const windows = histories.map((history) => ({ ...history, values: history.values.subarray(-288) }));
const before = residentMiB(process.pid);
const model = await readGlobalModel(readFileSync(process.argv[2]!));
model.predict(windows);
/** CPU time of one call, in milliseconds. */
function costOf(call: () => void): number {
  const cpuMs: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const start = process.cpuUsage();
    call();
    const { user, system } = process.cpuUsage(start);
    cpuMs.push((user + system) / 1_000);
  }
  return median(cpuMs);
}
const predictCpuMs = costOf(() => model.predict(windows));
const predictOneCpuMs = costOf(() => model.predict(windows.slice(0, 1)));
const resident = residentMiB(process.pid);
await createTrainer().train(histories, { steps: 12, updates });
const report = {
  residentMiB: round(resident, 1),
  residentMiBBefore: round(before, 1),
  trainingMiBMost: round(process.resourceUsage().maxRSS / 1_024, 1),
  predictCpuMs: round(predictCpuMs, 0),
  predictOneCpuMs: round(predictOneCpuMs, 1),
};
process.stdout.write(JSON.stringify(report));
