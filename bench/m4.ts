// M4 Hourly: the forecasters of seasonal series against the field of that competition, on its own terms.
import { arima, type ForecasterFactory, naiveScale, seasonalSmoothing } from '@foremesh/models';
import { loadArima } from '@foremesh/node-runtime/shell';
import { tracesFolder } from './forecast/traces.ts';
import { type Accuracy, horizon, owaOf, readAccuracies, readHourly, season, smapeOf } from './m4/dataset.ts';
import { round } from './spine/statistics.ts';

const json = process.argv.includes('--json');
const folder = tracesFolder();
if (folder === undefined) {
  process.stderr.write('m4: the traces are not here ($FOREMESH_DATA or ../shared/data)\n');
  process.exit(2);
}

const hourMs = 3_600_000;
const range = { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };
const fit = await loadArima();

const byForecaster = (factory: ForecasterFactory) => (training: Float64Array) => {
  const model = factory({ intervalMs: hourMs, range });
  for (const value of training) model.observe(value);
  return model.forecast(horizon).q50;
};
const models: Readonly<Record<string, (training: Float64Array) => readonly number[]>> = {
  'seasonal-naive': (training) => Array.from({ length: horizon }, (_, step) => training.at(-season + (step % season))!),
  arima: (training) =>
    byForecaster(arima({ fit, windowValues: training.length, refitValues: training.length }))(training),
  'seasonal-smoothing': byForecaster(seasonalSmoothing({ horizon, historyValues: 1_024 })),
};

const series = readHourly(folder);
const table = readAccuracies(folder);
const naive2 = table.get('Naive2')!;
const report: Record<string, number> = {};
for (const [name, forecast] of Object.entries(models)) {
  const begin = process.cpuUsage();
  const sums = { smape: 0, mase: 0 };
  for (const { training, actual } of series) {
    const points = forecast(training);
    const error = actual.reduce((sum, value, step) => sum + Math.abs(value - points[step]!), 0) / horizon;
    sums.smape += smapeOf(actual, points);
    sums.mase += error / naiveScale(training, season);
  }
  const accuracy: Accuracy = { smape: sums.smape / series.length, mase: sums.mase / series.length };
  const { user, system } = process.cpuUsage(begin);
  report[`m4.${name}.smape`] = round(accuracy.smape, 3);
  report[`m4.${name}.mase`] = round(accuracy.mase, 3);
  report[`m4.${name}.owa`] = round(owaOf(accuracy, naive2), 4);
  report[`m4.${name}.cpuMsPerSeries`] = round((user + system) / 1_000 / series.length, 1);
  process.stderr.write(`${name}: OWA ${report[`m4.${name}.owa`]}\n`);
}
// Of who took part: the best at hourly series, the winner of the whole competition, the seasonal naive.
const published = { best: '238', winner: '118', 'seasonal-naive': 'sNaive' };
for (const [name, method] of Object.entries(published)) {
  const row = table.get(method);
  if (row !== undefined) report[`m4.published.${name}.owa`] = row.owa;
}

if (json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
else
  process.stdout.write(
    `${Object.entries(report)
      .map(([key, value]) => `${key.padEnd(40)} ${value}`)
      .join('\n')}\n`,
  );
