import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import merge from './merge.ts';
import { addFlight, type Cells, type Flight, type Row } from './statistics.ts';

/** Where the npm package vega-datasets keeps the flights. */
const data = '../../node_modules/vega-datasets/data/flights-200k.json';
export const flightsFile = fileURLToPath(new URL(data, import.meta.url));

/** The same computation as the job's, in this process and in one piece: what the mesh's result must be equal to. */
export function computeHere(flights: readonly Flight[]): Row[] {
  const cells: Cells = new Map();
  for (const flight of flights) addFlight(cells, flight);
  return merge({ parts: [[...cells.values()]] });
}

if (process.argv[1] === import.meta.filename) {
  const flights: Flight[] = JSON.parse(readFileSync(flightsFile, 'utf8'));
  const startedMs = performance.now();
  const rows = computeHere(flights);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  process.stdout.write(`${JSON.stringify(rows)}\n`);
  process.stderr.write(`${flights.length} flights, ${rows.length} rows, ${seconds} s in one process\n`);
}
