// ARIMA beside statsmodels: the PlanetLab subset of the traces' protocol, a fit at every origin.
import {
  ArimaFilter,
  type ArimaOrder,
  type FitArima,
  fitByConditionalSquares,
  meanPinballLoss,
} from '@foremesh/models';
import { loadArima } from '@foremesh/node-runtime/shell';
import { horizon, readSet, tracesFolder } from './forecast/traces.ts';
import { quantile, round } from './spine/statistics.ts';

const json = process.argv.includes('--json');
const folder = tracesFolder();
if (folder === undefined) {
  process.stderr.write('arima: the traces are not here ($FOREMESH_DATA or ../shared/data)\n');
  process.exit(2);
}

/** Values before an origin that a fit may read. */
const historyMost = 288;
/** Standard normal quantile at 0.9. */
const z90 = 1.2815515655446004;
/** By statsmodels 0.13.5 on the same windows, as the protocol tells. */
const references: readonly { readonly name: string; readonly order: ArimaOrder; readonly pb: number }[] = [
  { name: '(1,0,1)', order: { p: 1, d: 0, q: 1 }, pb: 1.4781 },
  { name: '(1,1,1)', order: { p: 1, d: 1, q: 1 }, pb: 1.4808 },
];

const { series, originsOf } = readSet(folder, 'planetlab');
const windows = [...series.values()]
  .filter((_, index) => index % 5 === 0)
  .flatMap((values) => {
    const origins = originsOf(values.length).filter((_, index) => index % 2 === 0);
    return origins.map((origin) => ({
      history: values.slice(Math.max(0, origin - historyMost), origin),
      actual: values.slice(origin, origin + horizon),
    }));
  });

const clip = (value: number) => Math.min(100, Math.max(0, value));

function judge(fitModel: FitArima, order: ArimaOrder) {
  const fitMs: number[] = [];
  let sum = 0;
  for (const { history, actual } of windows) {
    const begin = performance.now();
    const model = fitModel(history, order);
    fitMs.push(performance.now() - begin);
    if (model === undefined) throw new Error('a window bears no model');
    const { means, variances } = ArimaFilter.after(model, history).forecast(horizon);
    const at = (deviations: number) => means.map((mean, step) => clip(mean + deviations * Math.sqrt(variances[step]!)));
    sum += meanPinballLoss({ intervalMs: 300_000, q10: at(-z90), q50: at(0), q90: at(z90) }, actual);
  }
  return { pb: sum / windows.length, fitMs };
}

const fits = { package: await loadArima(), conditionalSquares: fitByConditionalSquares };
const report: Record<string, number> = { 'arima.windows': windows.length };
for (const { name, order, pb } of references) {
  report[`arima.${name}.statsmodels.pb`] = pb;
  for (const [how, fitModel] of Object.entries(fits)) {
    const found = judge(fitModel, order);
    report[`arima.${name}.${how}.pb`] = round(found.pb, 4);
    report[`arima.${name}.${how}.ratio`] = round(found.pb / pb, 4);
    report[`arima.${name}.${how}.fitMsP50`] = round(quantile(found.fitMs, 0.5), 2);
    report[`arima.${name}.${how}.fitMsP99`] = round(quantile(found.fitMs, 0.99), 2);
    process.stderr.write(`${name} ${how}: PB ${found.pb.toFixed(4)} beside ${pb}\n`);
  }
}

const lines = Object.entries(report).map(([key, value]) => `${key.padEnd(44)} ${value}`);
process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : `${lines.join('\n')}\n`);
