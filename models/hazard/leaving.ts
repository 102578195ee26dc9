import { dayMs } from '../constants.ts';
import { ages, binMs, cellAt, cells, type Evidence, noEvidence, refine } from './rates.ts';

/** What is expected of a fleet of which nothing is known: that a node stays for a day. */
const priorRatePerMs = 1 / dayMs;
/** Evidence counts half when it is that old. */
const halfLifeDays = 28;
/** A departure counts for the times of day beside its own too: nobody leaves to the minute. */
const besideShare = 0.25;
/** How slowly habits are believed: each is tried, and counts by how well it has foretold the node so far. */
const cautions = [1, 4, 16];
/** Of a longer presence that was not asked about meanwhile only the last part is counted. */
const countedMostMs = 400 * dayMs;

export interface LeavingHazard {
  /**
   * The node came or left. `atMs` never goes back, and `atMs` modulo a day is the time of day, in whatever zone the node's
   * habits follow. What is told twice (came while it is there) is passed over, and
   * so is a time that is no number.
   */
  observe(event: 'came' | 'left', atMs: number): void;
  /**
   * The probability that the node, there at `nowMs`, has left by 1 to `steps` intervals later: never falling, within [0, 1]. 1 where
   * it is not there. `nowMs` and `intervalMs` are finite. The same whenever it was asked before, but for rounding.
   */
  forecast(nowMs: number, steps: number, intervalMs: number): number[];
}

export interface LeavingHazards {
  /** Another node of the fleet, of which nothing is known but the fleet's habits. */
  open(): LeavingHazard;
}

/**
 * When nodes leave: rates by time of day and by time since they came, learned from each node's comings and goings, shrunk to what the fleet
 * as a whole does, and that to one departure a day. Old evidence fades.
 */
export function leavingHazards(): LeavingHazards {
  const prior = new Float32Array(cells).fill(priorRatePerMs);
  const fleet = new Habits(() => prior);
  return { open: () => new NodeHazard(fleet) };
}

/** Evidence that fades, and the rates that follow from it and from what was expected. */
class Habits {
  readonly #evidence: Evidence = noEvidence();
  readonly #expectedAt: (nowMs: number) => Float32Array;
  #day: number | undefined;
  #bin: number | undefined;
  #rates: Float32Array = new Float32Array(cells).fill(priorRatePerMs);
  /** Rates by each caution, of the last departure or midnight, and the logarithm of the likelihood of all that came after them. */
  readonly #tries = cautions.map(() => ({ rates: this.#rates, logLikelihood: 0 }));

  constructor(expectedAt: (nowMs: number) => Float32Array) {
    this.#expectedAt = expectedAt;
  }

  /** Worked out once in a quarter of an hour. */
  ratesAt(nowMs: number): Float32Array {
    const bin = Math.floor(nowMs / binMs);
    if (bin !== this.#bin) {
      this.#bin = bin;
      this.#rates = this.#mixed(this.#refined(nowMs));
    }
    return this.#rates;
  }

  stayed(cell: number, forMs: number): void {
    this.#evidence.presentMs[cell]! += forMs;
    for (const one of this.#tries) one.logLikelihood -= one.rates[cell]! * forMs;
  }

  left(cell: number, atMs: number): void {
    for (const one of this.#tries) one.logLikelihood += Math.log(one.rates[cell]!);
    const { departures } = this.#evidence;
    departures[cell]! += 1 - 2 * besideShare;
    departures[(cell + ages) % cells]! += besideShare;
    departures[(cell + cells - ages) % cells]! += besideShare;
    this.#tryAnew(atMs);
  }

  /** By their likelihood so far (Dawid 1984: what was said before it happened). */
  #mixed(tables: readonly Float32Array[]): Float32Array {
    const best = Math.max(...this.#tries.map(({ logLikelihood }) => logLikelihood));
    const shares = this.#tries.map(({ logLikelihood }) => Math.exp(logLikelihood - best));
    const sum = shares.reduce((total, share) => total + share, 0);
    return new Float32Array(cells).map((_, cell) =>
      tables.reduce((rate, table, index) => rate + (shares[index]! / sum) * table[cell]!, 0),
    );
  }

  #refined(nowMs: number): Float32Array[] {
    const expected = this.#expectedAt(nowMs);
    return cautions.map((caution) => refine(expected, this.#evidence, caution));
  }

  #tryAnew(nowMs: number): void {
    for (const [index, rates] of this.#refined(nowMs).entries()) this.#tries[index]!.rates = rates;
  }

  /** Once a day, however often it is told the time. */
  fade(nowMs: number): void {
    const day = Math.floor(nowMs / dayMs);
    const days = day - (this.#day ?? day);
    if (days < 0) return;
    this.#day = day;
    if (days === 0) return;
    const factor = 0.5 ** (days / halfLifeDays);
    for (const one of this.#tries) one.logLikelihood *= factor;
    for (const table of [this.#evidence.departures, this.#evidence.presentMs])
      for (let cell = 0; cell < cells; cell += 1) table[cell]! *= factor;
    this.#tryAnew(nowMs);
  }
}

class NodeHazard implements LeavingHazard {
  readonly #fleet: Habits;
  readonly #own: Habits;
  #cameMs: number | undefined;
  /** Until when its presence is in the evidence. */
  #countedMs = 0;

  constructor(fleet: Habits) {
    this.#fleet = fleet;
    this.#own = new Habits((nowMs) => fleet.ratesAt(nowMs));
  }

  observe(event: 'came' | 'left', atMs: number): void {
    if (!Number.isFinite(atMs) || (event === 'came') === (this.#cameMs !== undefined)) return;
    if (this.#cameMs === undefined) {
      this.#cameMs = atMs;
      this.#countedMs = atMs;
      return;
    }
    const cameMs = this.#cameMs;
    this.#count(cameMs, atMs, true);
    const { cell } = cellAt(Math.max(cameMs, atMs), cameMs);
    for (const habits of [this.#own, this.#fleet]) habits.left(cell, atMs);
    this.#cameMs = undefined;
  }

  forecast(nowMs: number, steps: number, intervalMs: number): number[] {
    const cameMs = this.#cameMs;
    if (cameMs === undefined) return new Array<number>(steps).fill(1);
    this.#count(cameMs, nowMs, false);
    const rates = this.#own.ratesAt(nowMs);
    let atMs = nowMs;
    let hazard = 0;
    return Array.from({ length: steps }, (_, step) => {
      const endMs = nowMs + (step + 1) * intervalMs;
      while (atMs < endMs) {
        const { cell, leftMs } = cellAt(atMs, cameMs);
        const forMs = Math.min(leftMs, endMs - atMs);
        hazard += rates[cell]! * forMs;
        atMs += forMs;
      }
      return 1 - Math.exp(-hazard);
    });
  }

  /** Takes the presence since it was last counted into the evidence: of whole cells, or to the end. */
  #count(cameMs: number, untilMs: number, whole: boolean): void {
    this.#countedMs = Math.max(this.#countedMs, untilMs - countedMostMs);
    while (this.#countedMs < untilMs) {
      const { cell, leftMs } = cellAt(this.#countedMs, cameMs);
      const endMs = this.#countedMs + leftMs;
      if (endMs > untilMs && !whole) break;
      const forMs = Math.min(leftMs, untilMs - this.#countedMs);
      for (const habits of [this.#own, this.#fleet]) {
        habits.stayed(cell, forMs);
        habits.fade(this.#countedMs);
      }
      this.#countedMs += forMs;
    }
  }
}
