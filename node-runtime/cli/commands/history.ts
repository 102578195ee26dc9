import { type Command, Option } from 'commander';
import { type HistoryMetric, type HistoryResolution, historyMetric, historyResolution } from '../../contract/index.ts';
import type { History, HistorySample } from '../../sdk/index.ts';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { parseDuration } from '../durations.ts';
import { axisOf, barsOf, columnsOf } from '../plot.ts';
import { bytesText, durationText, percentText, plural } from '../text.ts';

const examples = `
Every node keeps what it measures: every 5 s for an hour, every minute for a day, every 5 minutes for a month.
Of minutes, the mean is kept, and the highest CPU.

Examples:
  foremesh history pi-3                         the last hour
  foremesh history pi-3 --since 12h             the finest that goes back that far
  foremesh history pi-3 --resolution 5m --csv > pi-3.csv
  foremesh history pi-3 --json | jq '.samples | map(.cpuShare) | max'
`;

const hourMs = 3_600_000;
/** How far back each goes. */
const reachMs: Readonly<Record<HistoryResolution, number>> = {
  '5s': hourMs,
  '1m': 24 * hourMs,
  '5m': 30 * 24 * hourMs,
};

interface Options {
  readonly resolution?: HistoryResolution;
  readonly since?: number;
  readonly csv?: boolean;
}

export const historyCommand: CommandModule = {
  name: 'history',
  summary: 'show what a node has measured: CPU, memory, network, disk, temperature',
  arguments: [['<node>', 'which node']],
  register(command: Command, context: CommandContext) {
    command
      .addOption(new Option('--resolution <every>', 'how fine').choices(historyResolution.options))
      .option('--since <time>', 'how far back: 30m, 12h, 7d', parseDuration)
      .option('--csv', 'print a table for other programs')
      .addHelpText('after', examples)
      .action((node: string, options: Options) => history(new Session(command, context), node, options));
  },
};

async function history(session: Session, node: string, { resolution, since, csv }: Options): Promise<void> {
  const finest = historyResolution.options.find((each) => since === undefined || since <= reachMs[each]);
  const chosen = resolution ?? finest ?? '5m';
  const sinceMs = since ?? reachMs[chosen];
  await session.withMesh(async (client) => {
    const found = await client.history(node, { resolution: chosen, sinceMs });
    if (csv) return session.print(...csvOf(found.samples, Date.now()));
    if (session.json) return session.printJson({ node, resolution: chosen, ...found });
    if (found.samples.length === 0)
      return session.tell(`${node} has nothing yet from the last ${durationText(sinceMs)}: look again in a minute`);
    session.print(...pictureOf(node, found, sinceMs, session.io.stdout.columns));
  });
}

/** Times by the clock of this machine: those of the nodes are not compared. */
function csvOf(samples: readonly HistorySample[], nowMs: number): string[] {
  const rows = samples.map((sample) =>
    [
      new Date(nowMs - sample.ageMs).toISOString(),
      sample.ageMs,
      sample.run,
      ...historyMetric.options.map((metric) => sample[metric] ?? ''),
    ].join(','),
  );
  return [['time', 'ageMs', 'run', ...historyMetric.options].join(','), ...rows];
}

interface Chart {
  readonly title: string;
  readonly metric: HistoryMetric;
  readonly text: (value: number) => string;
  /** The top of the chart; the highest value unless said. */
  readonly top?: number;
}

const rate = (bytesPerSecond: number) => `${bytesText(bytesPerSecond)}/s`;
const charts: readonly Chart[] = [
  { title: 'CPU', metric: 'cpuShare', text: percentText, top: 1 },
  { title: 'own work', metric: 'cpuBackgroundShare', text: percentText, top: 1 },
  { title: 'memory free', metric: 'memoryAvailableBytes', text: bytesText },
  { title: 'received', metric: 'networkReceivedBytesPerSecond', text: rate },
  { title: 'sent', metric: 'networkSentBytesPerSecond', text: rate },
  { title: 'temperature', metric: 'temperatureCelsius', text: celsius },
];
const labelColumns = 24;
const chartRows = 3;

function pictureOf(node: string, found: History, sinceMs: number, terminalColumns: number): string[] {
  const { samples } = found;
  const columns = Math.min(120, Math.max(20, terminalColumns - labelColumns - 3));
  // What there is fills the picture, also on the first day.
  const spanMs = Math.max(1, Math.min(sinceMs, samples[0]!.ageMs));
  const runs = new Set(samples.map(({ run }) => run)).size;
  const [line, labels] = axisOf(spanMs, columns);
  const indent = ' '.repeat(labelColumns);
  const restarts = runs === 1 ? '' : `, ${plural(runs - 1, 'restart')}`;
  return [
    `${node}: the last ${durationText(spanMs)}, ${plural(samples.length, 'sample')}${restarts}`,
    '',
    ...charts.flatMap((chart) => chartOf(chart, found, spanMs, columns)),
    `${indent} └${line}`,
    `${indent}  ${labels}`,
    '',
    ...remarks(found),
  ];
}

function chartOf(
  { title, metric, text, top }: Chart,
  { samples, intervalMs }: History,
  spanMs: number,
  columns: number,
) {
  const dots = samples.flatMap(({ ageMs, [metric]: value }) => (value === undefined ? [] : [{ ageMs, value }]));
  if (dots.length === 0) return [];
  const values = columnsOf(dots, spanMs, columns, intervalMs);
  const highest = top ?? Math.max(...values.map((value) => value ?? 0));
  const labels = [[title, text(highest)], [`last ${text(dots.at(-1)!.value)}`], []] as const;
  return barsOf(values, highest, chartRows).map((bars, row) => {
    const [left = '', right = ''] = labels[row] ?? [];
    return `${left}${right.padStart(labelColumns - left.length)} ${row === 0 ? '┤' : '│'}${bars}`;
  });
}

function remarks({ samples, diskBytesMost, writtenBytes }: History): string[] {
  const lines: string[] = [];
  const { diskFreeBytes, diskTotalBytes } = samples.at(-1)!;
  if (diskFreeBytes !== undefined && diskTotalBytes !== undefined)
    lines.push(`disk: ${bytesText(diskFreeBytes)} free of ${bytesText(diskTotalBytes)}`);
  const told = samples.filter(({ isThrottled }) => isThrottled !== undefined);
  const slowed = told.filter(({ isThrottled }) => isThrottled === 1).length;
  if (told.length > 0) lines.push(`slowed down by heat or its supply: ${plural(slowed, 'sample')} of ${told.length}`);
  lines.push(
    `kept on its disk: at most ${bytesText(diskBytesMost)}; written for it so far: ${bytesText(writtenBytes)}`,
  );
  return lines;
}

function celsius(value: number): string {
  return `${value.toFixed(0)} °C`;
}
