import { dayMs } from '../constants.ts';

/** A table of time of day (rows) by time since the node came (columns), row by row. */
const timesOfDay = 96;
export const binMs = dayMs / timesOfDay;
const minuteMs = 60_000;
/** Where the columns begin: the first minutes after a node came are unlike the following hours. */
const ageStartsMs = [0, 2, 5, 15, 60, 240, 720, 2_160].map((minutes) => minutes * minuteMs);
export const ages = ageStartsMs.length;
export const cells = timesOfDay * ages;

/** Departures per cell, and how long the node was there in each. */
export interface Evidence {
  readonly departures: Float32Array;
  readonly presentMs: Float32Array;
}

export const noEvidence = (): Evidence => ({
  departures: new Float32Array(cells),
  presentMs: new Float32Array(cells),
});

/** The cell at a time, and how long it lasts from then on: at least a millisecond, so that a walk through the cells moves on. */
export function cellAt(atMs: number, cameMs: number): { readonly cell: number; readonly leftMs: number } {
  const phaseMs = ((atMs % dayMs) + dayMs) % dayMs;
  const time = Math.min(timesOfDay - 1, Math.floor(phaseMs / binMs));
  const ageMs = Math.max(0, atMs - cameMs);
  const age = ageStartsMs.findLastIndex((startMs) => ageMs >= startMs);
  const ageLeftMs = (ageStartsMs[age + 1] ?? Number.POSITIVE_INFINITY) - ageMs;
  return { cell: time * ages + age, leftMs: Math.max(1, Math.min((time + 1) * binMs - phaseMs, ageLeftMs)) };
}

/** What a factor of 1 weighs against the evidence, in departures: of the rate as a whole, of a time of day, of an age. */
const prior = { whole: 1, time: 0.3, age: 0.5 };
const rounds = 3;

/**
 * Rates of leaving, per millisecond and cell: those that were expected, times a factor for the whole, one per time of day and one
 * per age, each shrunk to 1 where the evidence is thin (piecewise exponential hazards, Holford 1980, with gamma priors).
 * `caution` multiplies what the factors of times and ages have against them.
 */
export function refine(expected: Float32Array, { departures, presentMs }: Evidence, caution: number): Float32Array {
  const least = { time: caution * prior.time, age: caution * prior.age };
  const happened = { whole: prior.whole, time: filled(timesOfDay, least.time), age: filled(ages, least.age) };
  let predicted = prior.whole;
  for (let cell = 0; cell < cells; cell += 1) {
    happened.whole += departures[cell]!;
    happened.time[timeOf(cell)]! += departures[cell]!;
    happened.age[cell % ages]! += departures[cell]!;
    predicted += expected[cell]! * presentMs[cell]!;
  }
  const whole = happened.whole / predicted;
  const time = filled(timesOfDay, 1);
  const age = filled(ages, 1);
  for (let round = 0; round < rounds; round += 1) {
    // Each family of factors is fitted while the other stands, in turn.
    const byAge = filled(ages, least.age);
    for (let cell = 0; cell < cells; cell += 1)
      byAge[cell % ages]! += whole * expected[cell]! * presentMs[cell]! * time[timeOf(cell)]!;
    for (let at = 0; at < ages; at += 1) age[at] = happened.age[at]! / byAge[at]!;
    const byTime = filled(timesOfDay, least.time);
    for (let cell = 0; cell < cells; cell += 1)
      byTime[timeOf(cell)]! += whole * expected[cell]! * presentMs[cell]! * age[cell % ages]!;
    for (let at = 0; at < timesOfDay; at += 1) time[at] = happened.time[at]! / byTime[at]!;
  }
  return expected.map((rate, cell) => rate * whole * time[timeOf(cell)]! * age[cell % ages]!);
}

const timeOf = (cell: number) => Math.floor(cell / ages);
const filled = (length: number, value: number) => new Float64Array(length).fill(value);
