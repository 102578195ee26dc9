import { writeFileSync } from 'node:fs';
import type { Origins, Simulated } from './simulate.ts';
import { horizon, readCsv, type TraceSet } from './traces.ts';

/** The windows of `set` in a file of `set,series,origin`; a series or origin that the data do not hold is an error. */
export function readWindows(file: string, set: TraceSet): Origins {
  const { header, rows } = readCsv(file);
  const columns = ['set', 'series', 'origin'].map((name) => {
    const at = header.indexOf(name);
    if (at === -1) throw new Error(`${file}: there is no column ${name}`);
    return at;
  });
  const origins = new Map<string, number[]>();
  for (const [index, row] of rows.entries()) {
    const [name, series, text] = columns.map((column) => row[column] ?? '');
    if (name !== set.name) continue;
    const length = set.series.get(series!)?.length;
    const origin = Number(text);
    if (length === undefined) throw new Error(`${file}:${index + 2}: ${set.name} has no series ${series}`);
    if (!Number.isInteger(origin) || origin < 1 || origin > length)
      throw new Error(`${file}:${index + 2}: origin ${text} is not within the ${length} values of ${series}`);
    origins.set(series!, [...(origins.get(series!) ?? []), origin]);
  }
  if (origins.size === 0) throw new Error(`${file}: no window of set ${set.name}`);
  return new Map([...origins].map(([series, list]) => [series, [...new Set(list)].sort((one, other) => one - other)]));
}

/** One line per window and step: `series,origin,h,point,q10,q50,q90`. The point is the median, unless the model says otherwise. */
export function writePredictions(file: string, origins: Origins, { curves }: Simulated): number {
  const lines = ['series,origin,h,point,q10,q50,q90'];
  for (const [series, list] of origins)
    for (const [index, origin] of list.entries()) {
      const { q10, q50, q90, point = q50 } = curves.get(series)![index]!;
      for (let step = 0; step < horizon; step += 1)
        lines.push([series, origin, step + 1, point[step], q10[step], q50[step], q90[step]].join(','));
    }
  writeFileSync(file, `${lines.join('\n')}\n`);
  return lines.length - 1;
}
