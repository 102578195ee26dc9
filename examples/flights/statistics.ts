/**
 * Delays by hour of day and distance, with bootstrap intervals of the mean. Everything that is added up is an integer, and the
 * random weights of a record follow from the record alone: so the tables of the parts add up to exactly the table of the
 * whole, however the records were cut.
 */
export interface Flight {
  /** Minutes late on arrival; negative when early. */
  readonly delay: number;
  /** Miles. */
  readonly distance: number;
  /** Hour of day of the departure, with a fraction. */
  readonly time: number;
}

/** What is known of the flights of one hour and one distance band. */
export interface Cell {
  readonly hour: number;
  readonly band: number;
  flights: number;
  delay: number;
  /** For each replicate: how many flights it drew, and the sum of their delays. */
  readonly drawn: number[];
  readonly drawnDelay: number[];
}

export interface Row {
  readonly hour: number;
  readonly band: string;
  readonly flights: number;
  readonly meanDelay: number;
  /** The 95 % interval of the mean. */
  readonly low: number;
  readonly high: number;
}

export type Cells = Map<string, Cell>;

const replicates = 600;
const confidence = 0.95;

const bands = [
  { name: 'under 300 mi', below: 300 },
  { name: '300-599 mi', below: 600 },
  { name: '600-999 mi', below: 1000 },
  { name: '1000 mi and more', below: Number.POSITIVE_INFINITY },
];

/** Poisson(1) as thresholds of a 16-bit random number: below the first it is 0, below the second 1, and so on. */
const poissonThresholds = [24109, 48219, 60273, 64292, 65296, 65497, 65531, 65535, 65536];

export function addFlight(cells: Cells, flight: Flight): void {
  const hour = Math.floor(flight.time);
  const band = bands.findIndex(({ below }) => flight.distance < below);
  const cell = cellOf(cells, hour, band);
  cell.flights += 1;
  cell.delay += flight.delay;
  drawWeights(cell, flight);
}

/**
 * The Poisson bootstrap: each replicate counts the record so many times as a Poisson(1) number says. The generator starts from
 * the record's own values (equal records draw equal numbers; about 6 in 100 have a twin).
 */
function drawWeights(cell: Cell, flight: Flight): void {
  const { drawn, drawnDelay } = cell;
  const { delay } = flight;
  let state = seedOf(flight);
  for (let replicate = 0; replicate < replicates; replicate++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const uniform = state >>> 16;
    let weight = 0;
    while (uniform >= poissonThresholds[weight]!) weight++;
    if (weight > 0) {
      drawn[replicate]! += weight;
      drawnDelay[replicate]! += weight * delay;
    }
  }
}

/** Values mixed to 32 bits, never 0. */
function seedOf({ delay, distance, time }: Flight): number {
  let hash = 0x9e3779b9;
  for (const value of [delay, distance, Math.round(time * 60)]) {
    hash = Math.imul(hash ^ value, 0x85ebca6b);
    hash ^= hash >>> 13;
    hash = Math.imul(hash, 0xc2b2ae35);
    hash ^= hash >>> 16;
  }
  return hash === 0 ? 1 : hash;
}

function cellOf(cells: Cells, hour: number, band: number): Cell {
  const key = `${hour}/${band}`;
  let cell = cells.get(key);
  if (cell === undefined) {
    const zeros = (): number[] => new Array<number>(replicates).fill(0);
    cell = { hour, band, flights: 0, delay: 0, drawn: zeros(), drawnDelay: zeros() };
    cells.set(key, cell);
  }
  return cell;
}

/** Adds the cells of a part to those of the whole. */
export function addCells(cells: Cells, part: readonly Cell[]): void {
  for (const { hour, band, flights, delay, drawn, drawnDelay } of part) {
    const cell = cellOf(cells, hour, band);
    cell.flights += flights;
    cell.delay += delay;
    for (let replicate = 0; replicate < replicates; replicate++) {
      cell.drawn[replicate]! += drawn[replicate]!;
      cell.drawnDelay[replicate]! += drawnDelay[replicate]!;
    }
  }
}

export function toRows(cells: Cells): Row[] {
  return [...cells.values()].sort((a, b) => a.hour - b.hour || a.band - b.band).map(toRow);
}

function toRow({ hour, band, flights, delay, drawn, drawnDelay }: Cell): Row {
  const means: number[] = [];
  for (let replicate = 0; replicate < replicates; replicate++) {
    if (drawn[replicate]! > 0) means.push(drawnDelay[replicate]! / drawn[replicate]!);
  }
  means.sort((a, b) => a - b);
  const quantile = (share: number): number => means[Math.round(share * (means.length - 1))]!;
  return {
    hour,
    band: bands[band]!.name,
    flights,
    meanDelay: rounded(delay / flights),
    low: rounded(quantile((1 - confidence) / 2)),
    high: rounded(quantile((1 + confidence) / 2)),
  };
}

function rounded(minutes: number): number {
  return Math.round(minutes * 100) / 100;
}
