// The real series of the forecast bench, as its protocol reads them: `README.md` and `PROTOCOL.md` of the data folder.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { SeriesRange } from '@foremesh/models';

export const setNames = [
  'planetlab',
  'nab',
  'bitbrains_cpu',
  'bitbrains_mem',
  'rpi',
  'nab_net',
  'bitbrains_rx',
  'bitbrains_tx',
] as const;
export type SetName = (typeof setNames)[number];

export interface TraceSet {
  readonly name: SetName;
  readonly intervalMs: number;
  readonly range: SeriesRange;
  /** By the files' own names, in their order; no missing values. */
  readonly series: ReadonlyMap<string, Float64Array>;
  /** Where the forecasts of a series of that length begin. */
  readonly originsOf: (length: number) => number[];
}

/** Steps ahead that the protocol asks for. */
export const horizon = 12;

/** The folder of the traces, or undefined where there is none: `$FOREMESH_DATA/traces`, else `../shared/data/traces`. */
export function tracesFolder(): string | undefined {
  const root = process.env.FOREMESH_DATA ?? resolve(import.meta.dirname, '../../../shared/data');
  const folder = join(root, 'traces');
  return existsSync(folder) ? folder : undefined;
}

const percent: SeriesRange = { low: 0, high: 100 };
const rate: SeriesRange = { low: 0, high: Number.POSITIVE_INFINITY };
const fiveMinutesMs = 300_000;
const twoWeeks = 4_032;

export function readSet(folder: string, name: SetName): TraceSet {
  const set = { name, intervalMs: fiveMinutesMs, range: percent };
  switch (name) {
    case 'planetlab':
      return { ...set, series: readPlanetlab(folder), originsOf: every(144, 12, () => 276) };
    case 'nab':
      return { ...set, series: readNab(folder, /_cpu_/), originsOf: every(2016, 96, () => 3936) };
    case 'nab_net':
      return {
        ...set,
        range: rate,
        series: readNab(folder, /network/i),
        originsOf: every(2016, 96, (length) => Math.min(3936, length - horizon)),
      };
    case 'bitbrains_cpu':
      return { ...set, series: readBitbrains(folder, 'cpu_pct'), originsOf: every(2016, 144, () => 3888) };
    case 'bitbrains_mem':
      return { ...set, series: readBitbrains(folder, 'mem_mib'), originsOf: every(2016, 144, () => 3888) };
    case 'bitbrains_rx':
      return {
        ...set,
        range: rate,
        series: readBitbrains(folder, 'net_rx_kbps'),
        originsOf: every(2016, 144, () => 3888),
      };
    case 'bitbrains_tx':
      return {
        ...set,
        range: rate,
        series: readBitbrains(folder, 'net_tx_kbps'),
        originsOf: every(2016, 144, () => 3888),
      };
    case 'rpi':
      return {
        ...set,
        intervalMs: 5_000,
        series: readRpi(folder),
        originsOf: every(120, 24, (length) => length - horizon),
      };
  }
}

function every(first: number, step: number, last: (length: number) => number): (length: number) => number[] {
  return (length) => {
    const end = Math.min(last(length), length - horizon);
    const origins: number[] = [];
    for (let origin = first; origin <= end; origin += step) origins.push(origin);
    return origins;
  };
}

function readPlanetlab(folder: string): Map<string, Float64Array> {
  const { header, rows } = readCsv(onlyFile(join(folder, 'planetlab'), /cpu.*\.csv(\.gz)?$/));
  return new Map(
    header.slice(1).map((name, column) => [
      name,
      clipped(
        rows.map((row) => Number(row[column + 1])),
        percent,
      ),
    ]),
  );
}

function readNab(folder: string, which: RegExp): Map<string, Float64Array> {
  const files = readdirSync(join(folder, 'nab')).filter((file) => /\.csv(\.gz)?$/.test(file) && which.test(file));
  const range = which.test('_cpu_') ? percent : rate;
  return new Map(
    files.sort().map((file) => {
      const { rows } = readCsv(join(folder, 'nab', file));
      return [
        file.replace(/\.csv(\.gz)?$/, ''),
        clipped(
          rows.slice(0, twoWeeks).map((row) => Number(row[1])),
          range,
        ),
      ];
    }),
  );
}

function readBitbrains(folder: string, column: string): Map<string, Float64Array> {
  const machines = readCsv(onlyFile(join(folder, 'bitbrains'), /^vms.*\.csv(\.gz)?$/));
  const provisioned = new Map(
    machines.rows.map((row) => [row[0]!, Number(row[machines.header.indexOf('mem_mib_provisioned')])]),
  );
  const { header, rows } = readCsv(onlyFile(join(folder, 'bitbrains'), /^bitbrains.*\.csv(\.gz)?$/));
  const at = header.indexOf(column);
  const range = column.startsWith('net') ? rate : percent;
  const series = new Map<string, Float64Array>();
  for (const row of rows) {
    const [vm, step] = [row[0]!, Number(row[1])];
    let values = series.get(vm);
    if (values === undefined) {
      values = new Float64Array(twoWeeks).fill(Number.NaN);
      series.set(vm, values);
    }
    if (step < twoWeeks)
      values[step] = column === 'mem_mib' ? (100 * Number(row[at])) / provisioned.get(vm)! : Number(row[at]);
  }
  for (const [vm, values] of series) series.set(vm, clipped(filled(values), range));
  return series;
}

function readRpi(folder: string): Map<string, Float64Array> {
  const { header, rows } = readCsv(onlyFile(join(folder, 'rpi'), /^rpi.*\.csv(\.gz)?$/));
  const at = header.indexOf('cpu_pct');
  const series = new Map<string, number[]>();
  for (const row of rows) {
    const values = series.get(row[0]!) ?? [];
    values.push(Number(row[at]));
    series.set(row[0]!, values);
  }
  return new Map([...series].map(([run, values]) => [run, clipped(values, percent)]));
}

/** Missing values take the one before; leading ones the first that is there. */
function filled(values: Float64Array): Float64Array {
  let last = values.find((value) => !Number.isNaN(value)) ?? 0;
  return values.map((value) => {
    if (!Number.isNaN(value)) last = value;
    return last;
  });
}

function clipped(values: ArrayLike<number>, { low, high }: SeriesRange): Float64Array {
  return Float64Array.from(values, (value) => Math.min(high, Math.max(low, value)));
}

function onlyFile(folder: string, name: RegExp): string {
  const files = readdirSync(folder).filter((file) => name.test(file));
  if (files.length !== 1) throw new Error(`${folder}: ${files.length} files match ${name}, one is needed`);
  return join(folder, files[0]!);
}

export function readCsv(file: string): { readonly header: string[]; readonly rows: string[][] } {
  const bytes = readFileSync(file);
  const text = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  const [first = '', ...lines] = text.split(/\r?\n/).filter((line) => line !== '');
  const cells = (line: string) => line.split(',').map((cell) => cell.replace(/^"(.*)"$/, '$1'));
  return { header: cells(first), rows: lines.map(cells) };
}
