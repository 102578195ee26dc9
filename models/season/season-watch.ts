import { findPeriods } from './find-periods.ts';
import { LongHistory } from './history.ts';
import { fractionOf } from './spread.ts';

export interface SeasonWatchOptions {
  readonly intervalMs: number;
  /** Values that each level of the history keeps. Default 512. */
  readonly historyValues?: number;
  /** Periods in steps, if they are known: nothing is searched then. */
  readonly periods?: readonly number[];
}

const dayMs = 86_400_000;
/** Values before the first search. */
const firstSearch = 32;
/** Where the newer half of a history resembles the older one that much, a season may just have been seen twice. */
const repetitionLeast = 0.55;
/** A search reads a history that has grown by a quarter or so since the one before, at most that many values later. */
const searchValues = 512;
/** In one shorter than that, which costs little to read, the first period is looked for every few steps: it shall be known when it comes the third time. */
const shortHistory = { values: 256, growth: 24 };
/** Blocks of a coarse level in a period that is taken from it. */
const blocksLeast = 12;
/** Periods nearer to each other than that share are one. */
const sameShare = 0.06;
/** Of a time of the season, or so: by profiles, and by distributions. */
const visitsRemembered = 24;
/** Searches in a row that must miss a season before it is given up. */
const missesMost = 2;
const periodsMost = 2;

/** Follows a series and tells its periods, in steps, shortest first: a day and a week if it has them, and others. */
export class SeasonWatch {
  readonly history: LongHistory;
  readonly #options: SeasonWatchOptions;
  readonly #hints: readonly number[];
  #periods: readonly number[];
  #next = firstSearch;
  #misses = 0;

  constructor(options: SeasonWatchOptions) {
    this.#options = options;
    this.#hints = [dayMs, 7 * dayMs].map((periodMs) => periodMs / options.intervalMs);
    this.history = new LongHistory(options.historyValues ?? 512);
    this.#periods = [...(options.periods ?? [])].sort((a, b) => a - b).slice(0, periodsMost);
  }

  /** At most two. The same array as before while they are the same. */
  get periods(): readonly number[] {
    return this.#periods;
  }

  /** See `Forecaster.recall`: the seasons are searched with the first value that is observed. */
  recall(values: ArrayLike<number>): void {
    for (let index = 0; index < values.length; index += 1) this.#push(values[index]!);
  }

  observe(value: number): void {
    this.#push(value);
    if (this.#options.periods !== undefined) return;
    const { length } = this.history;
    if (length < this.#next && !this.#repeats) return;
    const levels = this.history.levels();
    const fraction = fractionOf(levels[0]!.values.subarray(-8));
    this.#take(this.#search(levels));
    const growth = length < shortHistory.values && this.#periods.length === 0 ? shortHistory.growth : 4;
    const wait = Math.min(searchValues, length / growth) * (0.75 + fraction / 2);
    // As soon as two days, or two weeks, are there, they are worth a look.
    const seenTwice = this.#hints.map((period) => (2.05 + 0.1 * fraction) * period).filter((steps) => steps > length);
    this.#next = Math.ceil(Math.min(length + wait, ...seenTwice));
  }

  /** Whether the past may just have come to hold a first season twice. */
  get #repeats(): boolean {
    const { history } = this;
    return this.#periods.length === 0 && history.length >= firstSearch && history.repetition >= repetitionLeast;
  }

  /** Time begins with the first value. */
  #push(value: number): void {
    if (this.history.length > 0 || !Number.isNaN(value)) this.history.push(value);
  }

  #search(levels: ReturnType<LongHistory['levels']>): number[] {
    const hints = this.#hints;
    let held = 0;
    const found: { readonly steps: number; readonly strength: number }[] = [];
    for (const { values, stride } of levels) {
      if (values.length < 2 * blocksLeast) break;
      const scaled = hints.map((period) => period / stride);
      for (const { period, strength } of findPeriods(values, scaled)) {
        if (stride > 1 && period < blocksLeast) continue;
        // What the finer level held twice, it knows better.
        if (found.length > 0 && period * stride <= held / 2) continue;
        const hint = hints.find((steps) => isSame(steps, period * stride));
        const steps = hint ?? period * stride;
        if (!found.some((other) => isSame(other.steps, steps))) found.push({ steps, strength });
      }
      held = values.length * stride;
    }
    const strongest = found.sort((a, b) => b.strength - a.strength).slice(0, periodsMost);
    return strongest.map(({ steps }) => steps).sort((a, b) => a - b);
  }

  #take(found: readonly number[]): void {
    const kept = this.#periods.filter((period) => found.some((steps) => isSame(steps, period)));
    if (kept.length === this.#periods.length && found.length === kept.length) {
      this.#misses = 0;
      // The longer the history, the more exactly it tells how long a period is. Who follows it begins anew then: only for what makes a difference.
      const { length } = this.history;
      if (found.some((steps, at) => drift(steps, this.#periods[at]!, length) >= 1)) this.#periods = found;
      return;
    }
    // A season that one search did not see may be there still.
    if (kept.length < this.#periods.length && ++this.#misses < missesMost) return;
    this.#misses = 0;
    this.#periods = found;
  }
}

/** By how much one period and another are apart after all that is remembered of them: 1 is too much. */
function drift(one: number, other: number, length: number): number {
  return (Math.abs(one - other) * Math.min(visitsRemembered, length / one)) / Math.max(1, one / 50);
}

function isSame(one: number, other: number): boolean {
  return Math.abs(one - other) <= Math.max(1, sameShare * Math.max(one, other));
}
