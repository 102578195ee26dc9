import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { SeriesRange } from '@foremesh/models';
import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  bytesOf,
  type HistoryMetric,
  type HistoryResolution,
  historyMetric,
  historyResolution,
  isIdentifier,
  MeshError,
} from '../../contract/index.ts';
import { saveFile } from '../../data/local-files.ts';
import { loadArima } from '../../shell/load-arima.ts';
import { onGrid, readSeries, type Series } from '../backtest/read-series.ts';
import { type Judged, runModels } from '../backtest/run-models.ts';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { parseDuration } from '../durations.ts';
import { chartOf, legend } from '../forecast/chart.ts';
import { svgOf } from '../forecast/svg.ts';
import type { SeriesView } from '../forecast/view.ts';
import { Live } from '../live.ts';
import { bar } from '../progress.ts';
import { type Column, renderTable } from '../table.ts';
import { durationText, percentText, plural } from '../text.ts';

const examples = `
Every model forecasts the second half of the series from what came before, again and again, and is judged by what came
then. The file has a value on each line, or a time and a value ("2026-11-28T14:00:00Z,0.31"), or more columns of which
one is chosen; the first line may name them, and an empty value is a missing one.

MAE is the mean error of the middle; MASE the same by the mean change from one value to the next; PB the mean pinball
loss of the three quantiles, by which the best comes first; IN BAND is how often the value was in the band of 80 %.

Examples:
  foremesh backtest cpu.csv
  foremesh backtest metrics.csv --column memory --horizon 30 --svg memory.svg
  foremesh backtest pi-3 --metric networkSentBytesPerSecond     what a node of the mesh has measured
  foremesh backtest cpu.csv --json | jq -r '.models[0].model'
`;

interface Options {
  readonly column?: string;
  readonly interval?: number;
  readonly range?: SeriesRange;
  readonly metric: HistoryMetric;
  readonly resolution: HistoryResolution;
  readonly horizon: number;
  readonly origins: number;
  readonly svg?: string;
}

export const backtestCommand: CommandModule = {
  name: 'backtest',
  summary: 'judge every forecasting model on a series of your own, or of a node',
  arguments: [['<what>', 'a CSV file, or a node']],
  register(command: Command, context: CommandContext) {
    command
      .option('--column <name>', 'the column with the values: its name, or its number from 1')
      .option('--interval <time>', 'how far apart values are; else the times tell, or 1m', parseDuration)
      .option(
        '--range <low:high>',
        'what values there can be, as 0:1, or 0: (from 0 on, unless one is below)',
        parseRange,
      )
      .addOption(
        new Option('--metric <name>', 'of a node: which').choices(historyMetric.options).default('cpuBackgroundShare'),
      )
      .addOption(
        new Option('--resolution <every>', 'of a node: how fine').choices(historyResolution.options).default('1m'),
      )
      .option('--horizon <steps>', 'steps ahead', wholeNumber(1, 1_000), 12)
      .option('--origins <count>', 'how often each model forecasts', wholeNumber(1, 10_000), 100)
      .option('--svg <file>', 'draw the last forecast of each model into this file')
      .addHelpText('after', examples)
      .action((what: string, options: Options) => run(new Session(command, context), what, options));
  },
};

async function run(session: Session, what: string, options: Options): Promise<void> {
  const { backtestOrigins, forecastersBy } = await import('@foremesh/models');
  const { series, range: usual } = await seriesOf(session, what, options);
  const { values, intervalMs } = series;
  const { horizon, range = usual } = options;
  const origins = backtestOrigins(values.length, horizon, options.origins);
  if (origins.length === 0)
    throw new MeshError(
      'MESH_SERIES_INVALID',
      `${plural(values.length, 'value')} are too few for ${plural(horizon, 'step')} ahead`,
      {
        where: what,
        mend: `give it ${2 * horizon} or more, or a lower --horizon`,
      },
    );
  const live = new Live(session.io.stderr);
  const onProgress = (fraction: number, model: string) => {
    if (session.io.stderr.isTTY && !session.json)
      live.show({
        lines: () => [`  ${bar(fraction, 24)}  ${percentText(fraction).padStart(5)}  ${model}`],
        plain: () => '',
      });
  };
  const models = forecastersBy({ fit: await loadArima(), horizon });
  const judged = await runModels({ values, intervalMs, range, horizon, origins, models, onProgress });
  live.drop();
  const views = judged.map((each) => viewOf(series, each));
  const pastMs = Math.max(1, Math.min(origins.at(-1)!, 4 * horizon)) * intervalMs;
  const missing = values.filter(Number.isNaN).length;
  const heading = `${series.name} of ${what}: ${plural(values.length, 'value')} ${durationText(intervalMs)} apart, ${horizon} steps ahead from ${plural(origins.length, 'origin')}`;
  if (options.svg !== undefined) await saveFile(once(svgOf(heading, views, pastMs)), options.svg);
  if (session.json) {
    const of = { column: series.name, values: values.length, missing, intervalMs };
    return session.printJson({ series: of, horizon, origins: origins.length, models: judged.map(plain) });
  }
  session.print(heading + (missing === 0 ? '' : `; ${missing} are missing`));
  if (series.intervalBy === 'default')
    session.tell('the file has no times: --interval says how far apart its values are');
  session.print('', ...renderTable(judged, columnsOf(judged)), '');
  const [best] = views;
  session.print(
    ...chartOf(
      { ...best!, past: best!.past.filter(({ ageMs }) => ageMs >= 0) },
      pastMs,
      intervalMs,
      session.io.stdout.columns,
    ),
  );
  session.print('', session.paintOut('dim', `the last forecast of ${judged[0]!.model}: at least as much ${legend}`));
  if (options.svg !== undefined) session.tell(`${options.svg}: ${plural(views.length, 'chart')}`);
}

/** A file of that name, else a node. */
async function seriesOf(
  session: Session,
  what: string,
  { column, interval, metric, resolution }: Options,
): Promise<{ series: Series; range: SeriesRange }> {
  const file = resolve(session.io.directory, what);
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' && isIdentifier(what)) return undefined;
    const isMissing = error.code === 'ENOENT';
    throw new MeshError(
      'MESH_SERIES_INVALID',
      isMissing ? 'there is no such file' : `it cannot be read: ${error.message}`,
      {
        where: what,
        ...(isMissing ? { mend: 'name a CSV file, or a node: `foremesh nodes` lists them' } : {}),
      },
    );
  });
  if (text !== undefined) {
    const series = readSeries(text, {
      file: what,
      ...(column === undefined ? {} : { column }),
      ...(interval === undefined ? {} : { intervalMs: interval }),
    });
    const low = series.values.some((value) => value < 0) ? Number.NEGATIVE_INFINITY : 0;
    return { series, range: { low, high: Number.POSITIVE_INFINITY } };
  }
  const { samples, intervalMs } = await session.withMesh((client) =>
    client.history(what, { resolution, sinceMs: 31 * 86_400_000 }),
  );
  const read = samples.map((sample, line) => ({ line, value: sample[metric] ?? Number.NaN, timeMs: -sample.ageMs }));
  const fault = (_: number, message: string) =>
    new MeshError('MESH_SERIES_INVALID', message, { where: `the history of ${what}` });
  if (read.length === 0) throw fault(0, 'nothing has been measured yet');
  const isShare = /Share|isThrottled/.test(metric);
  return {
    series: { name: metric, ...onGrid(read, interval ?? intervalMs, fault) },
    range: { low: metric === 'temperatureCelsius' ? -200 : 0, high: isShare ? 1 : Number.POSITIVE_INFINITY },
  };
}

function plain({
  model,
  windows,
  meanAbsoluteError: mae,
  meanAbsoluteScaledError: mase,
  meanPinballLoss: pinballLoss,
  coverage,
  forecastMs,
}: Judged) {
  return { model, windows, mae, mase, pinballLoss, coverage, forecastMs };
}

function columnsOf(judged: readonly Judged[]): Column<Judged>[] {
  const plainest = judged.find(({ model }) => model === 'last-value')!;
  const right = { align: 'right' as const };
  const ratio = (each: Judged) => each.meanPinballLoss / plainest.meanPinballLoss;
  return [
    { title: 'MODEL', cell: ({ model }) => model },
    { title: 'MAE', ...right, cell: (each) => numberText(each.meanAbsoluteError) },
    { title: 'MASE', ...right, cell: (each) => numberText(each.meanAbsoluteScaledError) },
    { title: 'PB', ...right, cell: (each) => numberText(each.meanPinballLoss) },
    { title: 'BY LAST-VALUE', ...right, cell: (each) => numberText(ratio(each)) },
    { title: 'IN BAND', ...right, cell: ({ coverage }) => `${(coverage * 100).toFixed(0)} %` },
    { title: 'TIME', ...right, cell: ({ forecastMs }) => `${numberText(forecastMs)} ms` },
    { title: '', cell: (each) => (each === judged[0] ? '<- best' : '') },
  ];
}

/** Four figures; empty where there was nothing to compare with. */
function numberText(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : '';
}

/** The last forecast, beside what was before it and what came. */
function viewOf({ values, intervalMs }: Series, { model, last: { origin, curves } }: Judged): SeriesView {
  const shown = Array.from(values.subarray(Math.max(0, origin - 4 * curves.q50.length)));
  const begin = values.length - shown.length;
  const all = [...shown, ...curves.q10, ...curves.q90].filter(Number.isFinite);
  // Bars begin at 0, or at the lowest value that there is.
  const low = Math.min(0, ...all);
  const past = shown.flatMap((value, at) =>
    Number.isNaN(value) ? [] : [{ ageMs: (origin - 1 - begin - at) * intervalMs, value: value - low }],
  );
  const future = curves.q50.map((middle, step) => ({
    fromMs: step * intervalMs,
    q10: curves.q10[step]! - low,
    q50: middle - low,
    q90: curves.q90[step]! - low,
  }));
  const text = (value: number) => numberText(value + low);
  return { title: model, top: Math.max(...all) - low, text, past, future, stepMs: intervalMs };
}

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield bytesOf(text);
}

function parseRange(text: string): SeriesRange {
  const [, low, high] = /^([-+.\de]*):([-+.\de]*)$/i.exec(text) ?? [];
  const range = {
    low: low === '' ? Number.NEGATIVE_INFINITY : Number(low),
    high: high === '' ? Number.POSITIVE_INFINITY : Number(high),
  };
  if (!(range.low < range.high)) throw new InvalidArgumentError('it looks like 0:1, 0: or -40:85.');
  return range;
}

function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most)
      throw new InvalidArgumentError(`it is a whole number from ${least} to ${most}.`);
    return value;
  };
}
