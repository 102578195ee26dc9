import { MeshError } from '../../contract/index.ts';

/** A series at equal intervals; NaN where a value is missing. */
export interface Series {
  readonly name: string;
  readonly values: Float64Array;
  readonly intervalMs: number;
  /** Where the interval is from: the file's times, the command line, or nowhere. */
  readonly intervalBy: 'times' | 'option' | 'default';
  /** How many values share their place with others, and are in a mean. */
  readonly averaged: number;
}

export interface ReadOptions {
  /** As messages name it. */
  readonly file: string;
  /** A name of the first line, or a number from 1. */
  readonly column?: string;
  readonly intervalMs?: number;
}

/** A series has at most so many places, filled or not. */
const valuesMost = 1_000_000;
/** Of values without times, when nobody says. */
const defaultIntervalMs = 60_000;
/** Models know no value that is farther from 0. */
const magnitudeMost = 1e30;
const delimiters = [';', '\t', ','] as const;
const missing = /^(|-|n\/?a|nan|null|none|missing)$/i;
const timeName = /^(time|timestamp|date|datetime|ts|ds|at|t|epoch|unix)$/i;
const month = '(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)';
/** The year first, or a month or a weekday in letters: `pi-1` would be read as a day in January, and `01/03/2024` as one too. */
const dateStart = new RegExp(
  `^(\\d{4}([-/]|\\.\\d+\\.)\\d|\\d\\d?[- ]${month}|(${month}|mon|tue|wed|thu|fri|sat|sun)[a-z]*[ ,])`,
  'i',
);
const yearLast = /^\d\d?[-/.]\d\d?[-/.]\d{2,4}($|[ T])/;
/** By its name, as far as `Date.parse` knows it, or as a distance from UTC after the time of day. */
const offset = /(\b|\d)(z|utc?|gmt|[ecmp][sd]t)\b|:\d\d(\.\d+)? ?[-+]\d/i;

interface Row {
  readonly line: number;
  readonly fields: readonly string[];
}

/** Reads CSV: one column of values, or a time and a value, or more with `column`. Throws `MESH_SERIES_INVALID` with file and line. */
export function readSeries(text: string, options: ReadOptions): Series {
  const fault = (line: number | undefined, message: string, mend?: string) =>
    new MeshError('MESH_SERIES_INVALID', message, {
      where: line === undefined ? options.file : `${options.file}:${line}`,
      ...(mend === undefined ? {} : { mend }),
    });
  const lines = text.replace(/^\ufeff/, '').split(/\r\n|\n|\r/);
  const isComment = (line: string) => line.startsWith('#');
  const isRow = (line: string) => line.trim() !== '' && !isComment(line);
  const delimiter = delimiterOf(lines.filter(isRow));
  const rows: Row[] = lines.flatMap((line, index) =>
    isRow(line) ? [{ line: index + 1, fields: fieldsOf(line, delimiter) }] : [],
  );
  const [first] = rows;
  if (first === undefined) throw fault(undefined, 'there are no values in it', shapes);
  const numberOf = (field: string) => readNumber(field, delimiter);
  const isNamed =
    first.fields.every((field) => numberOf(field) === undefined) && !first.fields.every((field) => missing.test(field));
  const header = isNamed ? first.fields : undefined;
  const named = header === undefined ? rows : rows.slice(1);
  if (named.length === 0) throw fault(first.line, 'there is a first line with names, and no values below it', shapes);
  const body = withEmptyLines(named, lines, isNamed ? first : undefined);
  const columns = chooseColumns(header, body[0]!.fields, options.column, numberOf, (message, mend) =>
    fault(first.line, message, mend),
  );
  const timeFault: typeof fault = (line, message, mend) =>
    columns.isGuessed
      ? fault(line, `${message} (column 1 is taken for the times)`, `${mend}; or name both columns in a first line`)
      : fault(line, message, mend);
  const read = body.map(({ line, fields }) => {
    if (fields.length !== body[0]!.fields.length)
      throw fault(line, `${fields.length} columns, in line ${body[0]!.line} there are ${body[0]!.fields.length}`);
    const field = fields[columns.value]!;
    const value = missing.test(field) ? Number.NaN : numberOf(field);
    if (value === undefined)
      throw fault(
        line,
        `"${field}" is no number`,
        'write 0.25, without a sign or a unit, or leave it empty where the value is missing',
      );
    if (Math.abs(value) > magnitudeMost)
      throw fault(line, `"${field}" is beyond ${magnitudeMost}`, 'give the values in a larger unit');
    if (columns.time === undefined) return { line, value };
    const timeMs = readTime(fields[columns.time]!);
    if (timeMs === undefined)
      throw timeFault(
        line,
        `"${fields[columns.time]}" is no time`,
        'write 2026-11-28T14:00:00Z (the year first: 01/02 could be two dates), or seconds since 1970',
      );
    return { line, value, timeMs };
  });
  const name = header?.[columns.value] ?? `column ${columns.value + 1}`;
  if (columns.time === undefined) {
    const intervalMs = options.intervalMs ?? defaultIntervalMs;
    if (read.length > valuesMost) throw fault(undefined, `${read.length} values: at most ${valuesMost} can be`);
    const intervalBy = options.intervalMs === undefined ? 'default' : 'option';
    return { name, values: Float64Array.from(read, ({ value }) => value), intervalMs, intervalBy, averaged: 0 };
  }
  return { name, ...onGrid(read as Timed[], options.intervalMs, timeFault) };
}

const shapes = 'give one value on each line, or "time,value"';

/** In a file of one column an empty line is a missing value, as an empty field is in others: from the first value on, or from the names. */
function withEmptyLines(rows: readonly Row[], lines: readonly string[], names: Row | undefined): readonly Row[] {
  if (rows.some(({ fields }) => fields.length > 1)) return rows;
  const known = new Map(rows.map((row) => [row.line, row]));
  const from = names === undefined ? rows[0]!.line : names.line + 1;
  // After the end of the last line there is no other one.
  const until = lines.at(-1) === '' ? lines.length - 1 : lines.length;
  return lines.slice(from - 1, until).flatMap((text, index) => {
    const line = from + index;
    return known.get(line) ?? (text.trim() === '' ? { line, fields: [''] } : []);
  });
}

/** What divides all lines alike; where nothing does, what divides the first. */
function delimiterOf(lines: readonly string[]): string {
  const countIn = (line: string, delimiter: string) => fieldsOf(line, delimiter).length;
  const dividing = delimiters.filter((each) => countIn(lines[0] ?? '', each) > 1);
  const alike = dividing.find((each) => lines.every((line) => countIn(line, each) === countIn(lines[0]!, each)));
  return alike ?? dividing[0] ?? ',';
}

/** Quotes hold a field together; a quote in it is doubled. */
function fieldsOf(line: string, delimiter: string): string[] {
  const fields: string[] = [];
  let field = '';
  let quoted = false;
  for (let at = 0; at < line.length; at += 1) {
    const character = line[at]!;
    if (character === '"' && quoted && line[at + 1] === '"') {
      field += '"';
      at += 1;
    } else if (character === '"') quoted = !quoted;
    else if (character === delimiter && !quoted) {
      fields.push(field.trim());
      field = '';
    } else field += character;
  }
  fields.push(field.trim());
  return fields;
}

/** `0,5` too, where the comma separates nothing. */
function readNumber(field: string, delimiter: string): number | undefined {
  const text = delimiter !== ',' && /^[-+]?\d+,\d+$/.test(field) ? field.replace(',', '.') : field;
  if (!/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}

/**
 * Since 1970 in seconds, milliseconds, microseconds or nanoseconds, by which of them is nearest to today; or a date, taken for UTC, whose hours are all as
 * long, unless it has an offset.
 */
function readTime(field: string): number | undefined {
  const number = readNumber(field, ',');
  if (number !== undefined) {
    const size = Math.abs(number);
    return Math.round(size < 1e11 ? number * 1e3 : size < 1e14 ? number : size < 1e17 ? number / 1e3 : number / 1e6);
  }
  if (!dateStart.test(field)) return undefined;
  const ms = Date.parse(field.replace(/^([-\d]+)T/, '$1 ') + (offset.test(field) ? '' : ' UTC'));
  return Number.isNaN(ms) ? undefined : ms;
}

interface Columns {
  readonly value: number;
  readonly time: number | undefined;
  /** Nothing in the file says that there are times: of two columns without names the first is taken for them. */
  readonly isGuessed: boolean;
}

function chooseColumns(
  header: readonly string[] | undefined,
  fields: readonly string[],
  wanted: string | undefined,
  numberOf: (field: string) => number | undefined,
  fault: (message: string, mend: string) => MeshError,
): Columns {
  const names = header ?? fields.map((_, index) => String(index + 1));
  const named = header?.findIndex((name) => timeName.test(name)) ?? -1;
  const [first] = fields;
  const isDate = dateStart.test(first!) || yearLast.test(first!);
  const isGuessed = named < 0 && !isDate && header === undefined && fields.length === 2;
  const time = named >= 0 ? named : isDate || isGuessed ? 0 : undefined;
  const isValue = (field: string) => missing.test(field) || numberOf(field) !== undefined;
  const others = names.map((_, index) => index).filter((index) => index !== time);
  const values = others.length === 1 ? others : others.filter((index) => isValue(fields[index] ?? ''));
  const isUnique = (name: string) => names.indexOf(name) === names.lastIndexOf(name);
  const offered = values.map((index) => (isUnique(names[index]!) ? names[index] : index + 1));
  const choose = `choose one: --column ${offered.join(', or ')}`;
  if (wanted !== undefined) {
    const same = names.filter((name) => name === wanted).length;
    if (same > 1) throw fault(`there are ${same} columns "${wanted}"`, choose);
    const value = names.indexOf(wanted) >= 0 ? names.indexOf(wanted) : Number(wanted) - 1;
    if (names[value] === undefined) throw fault(`there is no column "${wanted}"`, `there are: ${names.join(', ')}`);
    if (value === time && names.length > 1)
      throw fault(
        `column "${names[value]}" ${isGuessed ? 'is taken for' : 'has'} the times`,
        isGuessed ? `${choose}; or name both in a first line` : choose,
      );
    return { value, time: time === value ? undefined : time, isGuessed };
  }
  if (fields.length === 1) return { value: 0, time: undefined, isGuessed };
  if (values.length === 1) return { value: values[0]!, time, isGuessed };
  if (values.length === 0) throw fault(`there are ${names.length} columns, and no values in any of them`, shapes);
  const times = time === undefined ? '; a column with times is named "time"' : '';
  throw fault(`there are ${names.length} columns`, `${choose}${times}`);
}

interface Timed {
  readonly line: number;
  readonly value: number;
  readonly timeMs: number;
}

/** At the usual distance between two times, or as asked; what falls in one place is averaged, a place with nothing is missing. */
export function onGrid(
  read: readonly Timed[],
  wantedMs: number | undefined,
  fault: (line: number, message: string, mend?: string) => MeshError,
): Omit<Series, 'name'> {
  const distances: number[] = [];
  for (const [index, { line, timeMs }] of read.entries()) {
    const before = read[index - 1]?.timeMs ?? timeMs;
    if (timeMs < before) throw fault(line, 'its time is before that of the line above', 'sort the file by time');
    if (timeMs > before) distances.push(timeMs - before);
  }
  const intervalMs = wantedMs ?? distances.sort((a, b) => a - b)[Math.floor(distances.length / 2)];
  if (intervalMs === undefined) throw fault(read[0]!.line, 'all of its times are the same', shapes);
  const placeOf = ({ timeMs }: Timed) => Math.round((timeMs - read[0]!.timeMs) / intervalMs);
  const last = read.at(-1)!;
  if (placeOf(last) >= valuesMost) {
    const message = `at ${intervalMs} ms apart there would be ${placeOf(last) + 1} values, at most ${valuesMost} can be`;
    throw fault(last.line, message, 'say how far apart they are with --interval, or look at this time');
  }
  const sums = new Float64Array(placeOf(last) + 1);
  const counts = new Float64Array(sums.length);
  for (const each of read) {
    if (Number.isNaN(each.value)) continue;
    sums[placeOf(each)]! += each.value;
    counts[placeOf(each)]! += 1;
  }
  const values = sums.map((sum, place) => (counts[place] === 0 ? Number.NaN : sum / counts[place]!));
  const averaged = counts.reduce((sum, count) => sum + (count > 1 ? count : 0), 0);
  return { values, intervalMs, intervalBy: wantedMs === undefined ? 'times' : 'option', averaged };
}
