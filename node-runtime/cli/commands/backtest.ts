import { access, constants } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { SeriesRange } from '@foremesh/models';
import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  bytesOf,
  type HistoryMetric,
  type HistoryResolution,
  historyMetric,
  historyResolution,
  MeshError,
} from '../../contract/index.ts';
import { onDisk } from '../../data/files.ts';
import { saveFile } from '../../data/local-files.ts';
import type { Contestants } from '../backtest/contestants.ts';
import { findSeries, usual } from '../backtest/find-series.ts';
import type { Series } from '../backtest/read-series.ts';
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
then; ridge and lstm are trained on what lies before the first of these forecasts, lstm by itself only where there is
as much as a leader needs. The file has a value on each line, or a time and a value ("2026-11-28T14:00:00Z,0.31"), or
more columns of which one is chosen; the first line may name them, and an empty value is a missing one. Dates have the
year first, or the month in letters.

MAE is the mean error of the middle; MASE the same by the mean change from one value to the next; PB the mean pinball
loss of the three quantiles, by which the best comes first; IN BAND is how often the value was in the band of 80 %.

Examples:
  foremesh backtest cpu.csv --range 0:1
  foremesh backtest cpu.csv --range 0:100 --model engine,lstm
  foremesh backtest metrics.csv --column memory --horizon 30 --svg memory.svg
  foremesh backtest pi-3 --metric networkSentBytesPerSecond     what a node of the mesh has measured
  foremesh backtest cpu.csv --json | jq -r '.models[0].model'
`;

interface Options {
  readonly column?: string;
  readonly interval?: number;
  readonly range?: SeriesRange;
  readonly model?: readonly string[];
  readonly metric?: HistoryMetric;
  readonly resolution?: HistoryResolution;
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
      .option('--interval <time>', 'how far apart values are; else the times tell, or 1m', parseInterval)
      .option('--range <low:high>', 'what values there can be, as 0:1, 0:100 or 0: (no upper end)', parseRange)
      .option('--model <names>', 'these alone, beside last-value; else all', namesOf)
      .addOption(
        new Option('--metric <name>', `of a node: which (default: ${usual.metric})`).choices(historyMetric.options),
      )
      .addOption(
        new Option('--resolution <every>', `of a node: how fine (default: ${usual.resolution})`).choices(
          historyResolution.options,
        ),
      )
      .option('--horizon <steps>', 'steps ahead', wholeNumber(1, 1_000), 12)
      .option('--origins <count>', 'how often each model forecasts', wholeNumber(1, 10_000), 100)
      .option('--svg <file>', 'draw the last forecast of each model into this file')
      .addHelpText('after', examples)
      .action((what: string, options: Options) => run(new Session(command, context), what, options));
  },
};

async function run(session: Session, what: string, options: Options): Promise<void> {
  const { backtestOrigins } = await import('@foremesh/models');
  const { contestantsOf } = await import('../backtest/contestants.ts');
  const { svg } = options;
  if (svg !== undefined) await onDisk('write', svg, () => access(dirname(svg), constants.W_OK));
  const { series, range: assumed, because, more } = await findSeries(session, what, options);
  const { values, intervalMs, averaged } = series;
  const { horizon, range = assumed, model: wanted } = options;
  const origins = backtestOrigins(values.length, horizon, options.origins);
  const [first] = origins;
  if (first === undefined)
    throw new MeshError(
      'MESH_SERIES_INVALID',
      `${plural(values.length, 'value')}, too few for ${plural(horizon, 'step')} ahead`,
      { where: what, mend: `${2 * horizon} are enough: ${more}, or a lower --horizon` },
    );
  const outside = check(what, values, range, origins, horizon);
  const live = new Live(session.io.stderr);
  const onProgress = (fraction: number, model: string) => {
    if (session.io.stderr.isTTY)
      live.show({
        lines: () => [`  ${bar(fraction, 24)}  ${percentText(fraction).padStart(5)}  ${model}`],
        plain: () => '',
      });
  };
  const judging = { values, intervalMs, range, horizon, onProgress };
  let contestants: Contestants | undefined;
  let judged: Judged[];
  try {
    contestants = await contestantsOf({ ...judging, first, wanted });
    judged = await runModels({ ...judging, origins, models: contestants.models });
  } finally {
    live.drop();
    contestants?.dispose();
  }
  const views = judged.map((each) => viewOf(series, each));
  const pastMs = Math.max(1, Math.min(origins.at(-1)!, 4 * horizon)) * intervalMs;
  const missing = values.filter(Number.isNaN).length;
  const heading = `${series.name} of ${what}: ${plural(values.length, 'value')} ${durationText(intervalMs)} apart, ${horizon} steps ahead from ${plural(origins.length, 'origin')}`;
  const { absent } = contestants;
  const draw = async () => svg !== undefined && saveFile(once(svgOf(heading, views, pastMs)), svg);
  if (session.json) {
    await draw();
    // An end that is not there is null in JSON.
    const of = { column: series.name, values: values.length, missing, averaged, outside, intervalMs, range };
    const models = judged.map(plain);
    const drawn = svg === undefined ? {} : { svg };
    return session.printJson({ series: of, horizon, origins: origins.length, models, absent, ...drawn });
  }
  session.print(heading + (missing === 0 ? '' : `; ${missing} are missing`));
  if (series.intervalBy === 'default')
    session.tell('no column has times: --interval says how far apart the values are, else 1 min');
  if (options.range === undefined && because !== undefined)
    session.tell(`${assumedText(range)} is assumed${because}; --range LOW:HIGH gives another`);
  if (outside > 0) session.tell(`${plural(outside, 'value')} outside of ${rangeText(range)}, where forecasts never go`);
  if (averaged > 0)
    session.tell(
      `${plural(averaged, 'value')} share an interval with others, and are averaged; if they are of several machines, leave those of one`,
    );
  for (const { model, reason } of absent) session.tell(`no row for ${model}: ${reason}`);
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
  await draw();
  if (svg !== undefined) session.tell(`${svg}: ${plural(views.length, 'chart')}`);
}

/**
 * How many values lie outside of the range. Refuses a series with nothing to learn from or to compare with, and a range in which none of its
 * values lie.
 */
function check(
  what: string,
  values: Float64Array,
  { low, high }: SeriesRange,
  origins: readonly number[],
  horizon: number,
): number {
  const fault = (message: string, mend: string) => new MeshError('MESH_SERIES_INVALID', message, { where: what, mend });
  const mend = 'look at another column or metric, or at another time';
  const known = values.filter((value) => !Number.isNaN(value));
  if (known.length === 0) throw fault(`all of its ${plural(values.length, 'value')} are missing`, mend);
  if (values.subarray(0, origins[0]).every(Number.isNaN))
    throw fault('all values before the first origin are missing: there is nothing to forecast from', mend);
  if (origins.every((origin) => values.subarray(origin, origin + horizon).every(Number.isNaN)))
    throw fault('all values that are to be forecast are missing: there is nothing to compare with', mend);
  const outside = known.filter((value) => value < low || value > high).length;
  if (outside === known.length) {
    const [least, most] = known.reduce(
      ([a, b], value) => [Math.min(a, value), Math.max(b, value)],
      [known[0]!, known[0]!],
    );
    const between = `they are from ${numberText(least)} to ${numberText(most)}`;
    throw fault(`all of its values lie outside of --range ${rangeText({ low, high })}`, `${between}: give another`);
  }
  return outside;
}

function rangeText({ low, high }: SeriesRange): string {
  return [low, high].map((end) => (Number.isFinite(end) ? end : '')).join(':');
}

function assumedText(range: SeriesRange): string {
  const text = rangeText(range);
  return text === ':' ? 'a range without ends' : `range ${text}`;
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

const prefixes = ['', 'k', 'M', 'G', 'T', 'P'] as const;

/** `333.1 M`: what has no unit is still read faster in thousands. */
function labelText(value: number): string {
  const thousands = Math.min(prefixes.length - 1, Math.max(0, Math.floor(Math.log10(Math.abs(value)) / 3)));
  return `${numberText(value / 1_000 ** thousands)} ${prefixes[thousands] ?? ''}`.trim();
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
  const text = (value: number) => labelText(value + low);
  return { title: model, top: Math.max(...all) - low, text, past, future, stepMs: intervalMs };
}

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield bytesOf(text);
}

function parseInterval(text: string): number {
  const ms = parseDuration(text);
  if (ms < 1) throw new InvalidArgumentError('it is 1ms or more.');
  return ms;
}

/** Separated by commas, or one after the other. */
function namesOf(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, ...text.split(',').map((name) => name.trim())];
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
