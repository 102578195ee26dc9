import type { Forecaster, QuantileCurves, SeriesOptions } from '../forecaster.ts';
import { placeOf } from './anchors.ts';
import { Mixture } from './mixture.ts';
import type { Pool } from './pool.ts';
import { baseColumns, bases, levels, Track } from './track.ts';

/** Values beyond this are no measurements. */
const magnitudeMost = 1e30;

interface Origin {
  readonly at: number;
  readonly row: number;
  readonly stamp: number;
  readonly centre: number;
  readonly scale: number;
}

export class Series {
  readonly model = 'foresight';
  readonly #pool: Pool;
  readonly #options: SeriesOptions;
  readonly #extra: readonly Forecaster[];
  readonly #track: Track;
  readonly #mixture: Mixture;
  /** The experts' forecasts of now: per anchor, level and expert. */
  readonly #now: Float32Array;
  /** Per anchor, as many origins as the anchor is far: forecasts of experts, then own, pooled, raw; at the end the scale. */
  readonly #pending: Float32Array[];
  readonly #offsets: Float32Array;
  /** Mixed forecasts of now by anchor and level: pooled mix, own mix, calibrated. */
  readonly #mixed: Float32Array;
  readonly losses: Float32Array;
  #open: Origin[] = [];
  #count = 0;
  #missing = 0;
  #sizeSum = 0;

  constructor(pool: Pool, options: SeriesOptions, extra: readonly Forecaster[]) {
    this.#pool = pool;
    this.#options = options;
    this.#extra = extra;
    const { anchors, experts } = pool;
    const cells = anchors.length * levels.length;
    this.#track = new Track(anchors);
    this.#mixture = new Mixture(cells, experts);
    this.#now = new Float32Array(cells * experts);
    this.#mixed = new Float32Array(cells * 3);
    this.#offsets = new Float32Array(cells);
    this.losses = new Float32Array(experts + 1);
    const slot = levels.length * (experts + 3) + 1;
    this.#pending = anchors.map((step) => new Float32Array(step * slot));
  }

  observe(value: number): void {
    if (!Number.isFinite(value)) {
      if (this.#count > 0) this.#missing += 1;
      return;
    }
    const { low, high } = this.#options.range;
    const clipped = Math.min(high, magnitudeMost, Math.max(low, -magnitudeMost, value));
    this.#missing = 0;
    this.#score(clipped);
    this.#track.push(clipped);
    this.#count += 1;
    for (const each of this.#extra) each.observe(clipped);
    this.#predict();
  }

  #predict(): void {
    const { anchors, experts, regression } = this.#pool;
    const track = this.#track;
    const { low, high } = this.#options.range;
    track.read(this.#floor());
    const unit = this.#unit();
    for (let cell = 0, anchor = 0; anchor < anchors.length; anchor += 1)
      for (let level = 0; level < levels.length; level += 1, cell += 1)
        for (let base = 0; base < bases.length; base += 1)
          this.#now[cell * experts + base] = track.baseQuantiles[anchor * baseColumns + base * levels.length + level]!;
    if (regression.learned) regression.predict(track, this.#now, experts, bases.length);
    else
      for (let cell = 0; cell < anchors.length * levels.length; cell += 1)
        for (let model = bases.length; model < experts; model += 1)
          this.#now[cell * experts + model] = this.#now[cell * experts + 1]!;
    for (let index = 0; index < this.#now.length; index += 1)
      this.#now[index] = Math.min(high, Math.max(low, this.#now[index]!));
    this.#mix();
    this.#remember();
    const offered = regression.offer(track, 1 / unit);
    if (offered !== undefined)
      this.#open.push({ at: this.#count, ...offered, centre: track.centre, scale: track.scale });
  }

  #mix(): void {
    const { anchors, experts, mixture, offsets, settings } = this.#pool;
    const { low, high } = this.#options.range;
    const { scale } = this.#track;
    for (let cell = 0; cell < anchors.length * levels.length; cell += 1) {
      this.#mixture.weigh(cell, settings.rate, mixture.weights, settings.doubt * this.#pool.meanSquare(cell));
      let pooled = 0;
      let own = 0;
      for (let expert = 0; expert < experts; expert += 1) {
        const forecast = this.#now[cell * experts + expert]!;
        pooled += mixture.weights[cell * experts + expert]! * forecast;
        own += this.#mixture.weights[cell * experts + expert]! * forecast;
      }
      this.#mixed[cell * 3] = pooled;
      this.#mixed[cell * 3 + 1] = own;
      const shift = scale * (this.#offsets[cell]! + offsets[cell]!);
      this.#mixed[cell * 3 + 2] = Math.min(high, Math.max(low, own + shift));
    }
  }

  /** Puts the forecasts of now where the values that they are about will find them. */
  #remember(): void {
    const { anchors, experts } = this.#pool;
    const row = experts + 3;
    for (let anchor = 0; anchor < anchors.length; anchor += 1) {
      const step = anchors[anchor]!;
      const slot = this.#pending[anchor]!;
      const at = (this.#count % step) * (levels.length * row + 1);
      for (let level = 0; level < levels.length; level += 1) {
        const cell = anchor * levels.length + level;
        for (let expert = 0; expert < experts; expert += 1)
          slot[at + level * row + expert] = this.#now[cell * experts + expert]!;
        for (let mixed = 0; mixed < 3; mixed += 1)
          slot[at + level * row + experts + mixed] = this.#mixed[cell * 3 + mixed]!;
      }
      slot[at + levels.length * row] = this.#track.scale;
    }
  }

  #score(value: number): void {
    const { anchors, experts, mixture, offsets, regression, settings } = this.#pool;
    const row = experts + 3;
    const unit = this.#unit();
    const arrived = this.#count + 1;
    if (this.#open.length > 0) {
      for (const { at, row: kept, stamp, centre, scale } of this.#open) {
        const anchor = anchors.indexOf(arrived - at);
        if (anchor !== -1) regression.complete(kept, stamp, anchor, (value - centre) / scale);
      }
      if (arrived - this.#open[0]!.at >= anchors.at(-1)!) this.#open.shift();
    }
    for (let anchor = 0; anchor < anchors.length; anchor += 1) {
      const step = anchors[anchor]!;
      if (this.#count < step) break;
      const slot = this.#pending[anchor]!;
      const at = (arrived % step) * (levels.length * row + 1);
      const scale = slot[at + levels.length * row]!;
      for (let level = 0; level < levels.length; level += 1) {
        const cell = anchor * levels.length + level;
        const from = at + level * row;
        const q = levels[level]!;
        const pooled = slot[from + experts]!;
        const own = slot[from + experts + 1]!;
        const given = slot[from + experts + 2]!;
        const pooledSlope = value < pooled ? 1 - q : value === pooled ? 0 : -q;
        const ownSlope = value < own ? 1 - q : value === own ? 0 : -q;
        mixture.learn(cell, pooledSlope, slot, from, pooled, unit, this.#pool.keep);
        this.#mixture.learn(cell, ownSlope, slot, from, own, scale, settings.keep);
        this.#pool.noteSquare(cell, this.#mixture.lastSquare);
        const miss = value < given ? q - 1 : value === given ? 0 : q;
        offsets[cell]! += (settings.pooledStep * miss) / this.#pool.size;
        this.#offsets[cell] = (1 - settings.offsetDecay) * this.#offsets[cell]! + settings.ownStep * miss;
        for (let expert = 0; expert < experts; expert += 1) {
          const difference = value - slot[from + expert]!;
          this.losses[expert]! += (Math.max(q * difference, (q - 1) * difference) - settings.fade * this.losses[expert]!);
        }
      }
    }
  }

  forecast(steps: number): QuantileCurves {
    const { intervalMs, range } = this.#options;
    const { anchors } = this.#pool;
    const curves: number[][] = levels.map(() => []);
    for (let step = 1; step <= steps; step += 1) {
      const { index, share } = placeOf(anchors, step + this.#missing);
      const point = levels.map((_, level) => {
        const here = this.#mixed[(index * levels.length + level) * 3 + 2]!;
        if (share === 0) return here;
        return here + share * (this.#mixed[((index + 1) * levels.length + level) * 3 + 2]! - here);
      });
      if (this.#count === 0) {
        curves[0]!.push(range.low);
        curves[1]!.push((range.low + Math.min(range.high, Number.MAX_VALUE)) / 2);
        curves[2]!.push(range.high);
      } else {
        point.sort((left, right) => left - right);
        for (const [level, curve] of curves.entries()) curve.push(point[level]!);
      }
    }
    return { intervalMs, q10: curves[0]!, q50: curves[1]!, q90: curves[2]! };
  }

  /** What losses of series with different sizes are compared in: the width of the range, or the series' own size. */
  #unit(): number {
    const { low, high } = this.#options.range;
    if (Number.isFinite(high - low)) return (high - low) / 100;
    return this.#count === 0 ? 1 : this.#sizeSum / this.#count / 100 + 1e-9;
  }

  #floor(): number {
    const { low, high } = this.#options.range;
    this.#sizeSum += Math.abs(this.#track.features[newestQuantile]!);
    if (Number.isFinite(high - low)) return (high - low) * 2e-4;
    return (2e-2 * this.#sizeSum) / this.#count / 100 + 1e-9;
  }
}
/** The 90 % quantile of the long window in `Track.features`. */
const newestQuantile = 6 + 7 + 14 + 5;
