import type { LeavingHazard } from '@foremesh/models';
import { type HistoryPage, limits } from '../../../contract/index.ts';

/** A time in which one run of a node measured without a pause, by our wall clock. */
interface Stretch {
  readonly run: number;
  readonly fromMs: number;
  untilMs: number;
  /** How far apart its measurements are. */
  readonly intervalMs: number;
}

/** A pause of more intervals than that says that the node was away. */
const pauseIntervals = 3;

/** A history goes back a month; what a node tells of the time before is not its history. */
const rememberedMs = 31 * 86_400_000;

/**
 * When a node came and left: what its history tells of the time before it was heard, then what was heard. Until the history is told, what is heard waits.
 */
export class Presence {
  readonly #hazard: LeavingHazard;
  #heard: (readonly ['came' | 'left', number])[] | undefined = [];
  #told: Stretch[] = [];
  /** Of pages of which not all have come. */
  #coming: Stretch[] = [];

  constructor(hazard: LeavingHazard) {
    this.#hazard = hazard;
  }

  get awaitsHistory(): boolean {
    return this.#heard !== undefined;
  }

  observe(event: 'came' | 'left', atWallMs: number): void {
    if (this.#heard === undefined) this.#hazard.observe(event, atWallMs);
    else this.#heard.push([event, atWallMs]);
  }

  /** See `LeavingHazard`. */
  forecast(nowWallMs: number, steps: number, intervalMs: number): number[] {
    return this.#hazard.forecast(nowWallMs, steps, intervalMs);
  }

  /** Pages of one resolution come in order, the oldest first. */
  hearHistory({ agesMs, runs, intervalMs, next }: HistoryPage, nowWallMs: number): void {
    if (this.#heard === undefined) return;
    for (const [index, ageMs] of agesMs.entries()) {
      const run = runs[index];
      if (run === undefined || ageMs > rememberedMs) continue;
      const untilMs = nowWallMs - ageMs;
      const fromMs = Math.max(untilMs - intervalMs, nowWallMs - rememberedMs);
      this.#add(this.#coming, { run, fromMs, untilMs, intervalMs });
    }
    // A part alone would end with a departure.
    if (next === undefined) this.#told.push(...this.#coming.splice(0));
  }

  #add(stretches: Stretch[], stretch: Stretch): void {
    const last = stretches.at(-1);
    const pauseMs = pauseIntervals * stretch.intervalMs;
    if (last?.run === stretch.run && stretch.fromMs - last.untilMs <= pauseMs)
      last.untilMs = Math.max(last.untilMs, stretch.untilMs);
    else stretches.push({ ...stretch });
  }

  /** Nothing more comes of its history: what it told is learned, then what was heard meanwhile. */
  endHistory(nowWallMs: number): void {
    const heard = this.#heard;
    if (heard === undefined) return;
    this.#heard = undefined;
    const stretches: Stretch[] = [];
    for (const stretch of this.#told.sort((a, b) => a.run - b.run || a.fromMs - b.fromMs))
      this.#add(stretches, stretch);
    [this.#told, this.#coming] = [[], []];
    let atMs = Number.NEGATIVE_INFINITY;
    const observe = (event: 'came' | 'left', eventMs: number) => {
      atMs = Math.max(atMs, eventMs);
      this.#hazard.observe(event, atMs);
    };
    const last = stretches.at(-1);
    for (const stretch of stretches.slice(-limits.sessionsPerNode)) {
      observe('came', stretch.fromMs);
      // One that measured just now is there still: it has not come when we began to lead.
      if (stretch !== last || nowWallMs - stretch.untilMs > pauseIntervals * stretch.intervalMs)
        observe('left', stretch.untilMs);
    }
    for (const [event, eventMs] of heard) observe(event, eventMs);
  }
}
