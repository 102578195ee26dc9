import { magnitudeMost, measured, wholeRange } from '../baselines/empirical-bands.ts';
import { aims, QuantileTracker } from '../calibration/quantile-tracker.ts';
import type { Forecaster, GlobalModel, QuantileCurves, SeriesWindow } from '../forecaster.ts';
import { isWorthUsing } from '../global/retrain.ts';
import { pinballLoss } from '../scoring/scores.ts';
import { placeOf } from './anchors.ts';
import { Duel } from './duel.ts';
import { Mixture, slopeAt } from './mixture.ts';
import type { Pool } from './pool.ts';
import { pooledModels } from './pooled-regression.ts';
import { Scoreboard } from './scoreboard.ts';
import { baseColumns, bases, historyLength, levels, Track } from './track.ts';

/** How losses of before fade with each value, in the weights of the members. */
const keep = 0.999;
/** How fast weights answer losses: one series says less than all, but only it is forecast. */
const pace = 3;
/** What the pooled weights are worth: this many values. */
const doubt = 50;
/** Own steps of the calibration, in scales, and how they fade. */
const calibrationStep = 0.005;
const calibrationDecay = 0.003;
/** A series of fewer values may still do anything: its bands reach towards the ends of its range. */
const youngValues = 12;
/** Least unit of a series' movements, in hundredths of its size. */
const scaleLeast = 0.02;
const tiny = 1e-9;
/** What is kept beside the members' forecasts: their mean with pooled weights, with own weights, and this calibrated. */
const mixes = 3;
/** Values of a series itself that a learned model must have been compared with before it is used there. */
const duelLeast = 30;

interface Origin {
  readonly at: number;
  readonly row: number;
  readonly stamp: number;
  readonly centre: number;
  readonly scale: number;
}

/** One series: its members, how they did, and what is said in the end. */
export class Series {
  readonly scores: Scoreboard;
  readonly #pool: Pool;
  readonly #members: readonly Forecaster[];
  readonly #track: Track;
  readonly #mixture: Mixture;
  readonly #calibration: QuantileTracker;
  /** What the members say now, and the mixes: `row` numbers per cell. */
  readonly #now: Float32Array;
  readonly #row: number;
  /** Per anchor, as many origins as the anchor is far: the cells of the anchor as in `#now`, then the scale. */
  readonly #pending: readonly Float32Array[];
  /** Of the model in the pool's slot against the other members; what it said itself stands last in a row, NaN where nothing. */
  #duel: Duel;
  #learnedNumber = 0;
  #isUsed = false;
  #open: Origin[] = [];
  #count = 0;
  #missing = 0;
  #size = 0;

  constructor(pool: Pool) {
    this.#pool = pool;
    this.#members = pool.members.map(({ factory }) => factory(pool.options));
    this.#track = new Track(pool.anchors);
    this.#mixture = new Mixture(pool.cells, pool.experts.length);
    this.#calibration = new QuantileTracker(pool.cells, calibrationDecay);
    this.scores = new Scoreboard(this.#entrants + 1);
    this.#duel = new Duel(pool.experts.length);
    this.#row = pool.experts.length + mixes + 1;
    this.#now = new Float32Array(pool.cells * this.#row);
    this.#pending = pool.anchors.map((step) => new Float32Array(step * (levels.length * this.#row + 1)));
  }

  /** Members that can be champion: all but the learned model, which has a scoreboard of its own. */
  get #entrants(): number {
    return this.#pool.experts.length - (this.#pool.hasSlot ? 1 : 0);
  }

  /** The learned model on this series; undefined before it was compared with anything. */
  get duel(): Duel | undefined {
    return this.#learnedNumber === this.#pool.learnedNumber && this.#duel.scored > 0 ? this.#duel : undefined;
  }

  /** Whether the learned model has a part in the forecasts: only where no other member beats it. */
  get usesLearned(): boolean {
    return this.#isUsed;
  }

  /** Takes a value in, or NaN for a missing one; false where there is nothing new to be predicted. See `ObservedValue` for `isFamiliar`. */
  absorb(value: number, isFamiliar = false): boolean {
    const number = measured(value, this.#pool.options.range);
    if (number === undefined) {
      this.#missing += 1;
      // Those that follow a season count the time that passes.
      for (const member of this.#members) member.observe(Number.NaN);
      return false;
    }
    this.#count += 1;
    this.#missing = 0;
    this.#score(number, isFamiliar);
    this.#track.push(number);
    for (const member of this.#members) member.observe(number);
    this.#track.read();
    this.#size += (Math.abs(this.#track.high) - this.#size) / this.#count;
    this.#track.unit(scaleLeast * this.#unit());
    return true;
  }

  /** The last values, oldest first. */
  get past(): number[] {
    return [...this.#track.values.toArray()];
  }

  /** What a global model reads of the last values, or undefined while there is too little. */
  window({ lags, context = lags }: GlobalModel, values: readonly number[]): SeriesWindow | undefined {
    if (values.length < lags || lags > historyLength) return undefined;
    return { ...this.#pool.options, values: Float64Array.from(values.slice(-context)) };
  }

  /** Forecasts anew after `absorb`, with what the global models said, in their order. */
  predict(answers: readonly (QuantileCurves | undefined)[]): void {
    const { anchors, experts, globals, regression } = this.#pool;
    const { baseQuantiles } = this.#track;
    for (let anchor = 0, cell = 0; anchor < anchors.length; anchor += 1)
      for (let level = 0; level < levels.length; level += 1, cell += 1)
        for (let base = 0; base < bases.length; base += 1)
          this.#now[cell * this.#row + base] = baseQuantiles[anchor * baseColumns + base * levels.length + level]!;
    let expert = bases.length;
    if (regression.learned) regression.predict(this.#track, this.#now, this.#row, expert);
    else for (let each = 0; each < pooledModels.length; each += 1) this.#stand(expert + each);
    expert += pooledModels.length;
    const farthest = anchors.at(-1)!;
    for (const member of this.#members)
      this.#enter(expert++, member.ready === false ? undefined : member.forecast(farthest));
    for (const index of globals.keys()) {
      const curves = answers[index];
      if (curves === undefined) this.#stand(expert++);
      else this.#enter(expert++, curves);
    }
    if (this.#pool.hasSlot) this.#hearLearned(answers[globals.length]);
    this.#mix(experts.length);
    this.#remember();
    const offered = regression.offer(this.#track, 1 / this.#unit());
    const { centre, scale } = this.#track;
    if (offered !== undefined) this.#open.push({ at: this.#count, ...offered, centre, scale });
    this.#pool.answered();
  }

  /** What the model in the slot says stands last in each row, to be scored whether it is used or not. */
  #hearLearned(curves: QuantileCurves | undefined): void {
    const { anchors, learnedNumber } = this.#pool;
    if (this.#learnedNumber !== learnedNumber) {
      // Another model: what the one before has said is not its.
      this.#learnedNumber = learnedNumber;
      this.#duel = new Duel(this.#pool.experts.length);
      for (const pending of this.#pending)
        for (let at = 0; at < pending.length; at += levels.length * this.#row + 1)
          for (let level = 1; level <= levels.length; level += 1) pending[at + level * this.#row - 1] = Number.NaN;
    }
    const said = curves === undefined ? [] : [curves.q10, curves.q50, curves.q90];
    for (const [anchor, step] of anchors.entries())
      for (let level = 0; level < levels.length; level += 1) {
        const curve = said[level];
        this.#now[(anchor * levels.length + level + 1) * this.#row - 1] =
          curve === undefined ? Number.NaN : curve[Math.min(step, curve.length) - 1]!;
      }
    const { scored, loss, others } = this.#duel;
    this.#isUsed =
      curves !== undefined &&
      scored >= duelLeast &&
      isWorthUsing({ scored: this.#pool.learnedScored, loss, challengerLoss: Math.min(...others) });
  }

  /** The curves of a member at the anchors; it stands aside where it has none, or knows nothing but an open range. */
  #enter(expert: number, curves: QuantileCurves | undefined): void {
    this.#stand(expert);
    if (curves === undefined) return;
    for (const [anchor, step] of this.#pool.anchors.entries())
      for (const [level, curve] of [curves.q10, curves.q50, curves.q90].entries()) {
        const value = curve[Math.min(step, curve.length) - 1]!;
        if (Math.abs(value) <= magnitudeMost) this.#now[(anchor * levels.length + level) * this.#row + expert] = value;
      }
  }

  /** A member that stands aside says what the moving average does: it neither helps nor harms. */
  #stand(expert: number): void {
    for (let cell = 0; cell < this.#pool.cells; cell += 1)
      this.#now[cell * this.#row + expert] = this.#now[cell * this.#row + 1]!;
  }

  #mix(experts: number): void {
    const { low, high } = this.#pool.options.range;
    const { scale } = this.#track;
    for (let cell = 0; cell < this.#pool.cells; cell += 1) {
      const at = cell * this.#row;
      this.#mixture.weigh(cell, pace, this.#pool.mixture, doubt * this.#pool.meanSquares[cell]!);
      if (this.#pool.hasSlot)
        this.#now[at + experts - 1] = this.#isUsed
          ? this.#now[at + this.#row - 1]!
          : this.#mixture.mixOthers(cell, this.#now, at);
      for (let expert = at; expert < at + experts; expert += 1)
        this.#now[expert] = Math.min(high, Math.max(low, this.#now[expert]!));
      const own = this.#mixture.mix(cell, this.#now, at);
      const shift = this.#calibration.offsets[cell]! + this.#pool.offsets[cell]!;
      this.#now[at + experts] = this.#pool.mixture.mix(cell, this.#now, at);
      this.#now[at + experts + 1] = own;
      this.#now[at + experts + 2] = Math.min(high, Math.max(low, own + scale * shift));
    }
  }

  /** Puts the forecasts of now where the values that they are about will find them. */
  #remember(): void {
    const length = levels.length * this.#row;
    for (const [anchor, step] of this.#pool.anchors.entries()) {
      const pending = this.#pending[anchor]!;
      const at = (this.#count % step) * (length + 1);
      pending.set(this.#now.subarray(anchor * length, (anchor + 1) * length), at);
      pending[at + length] = this.#track.scale;
    }
  }

  #score(value: number, isFamiliar: boolean): void {
    const pool = this.#pool;
    const { anchors } = pool;
    this.#complete(value);
    const unit = this.#unit();
    const experts = pool.experts.length;
    const length = levels.length * this.#row;
    for (let anchor = 0; anchor < anchors.length && anchors[anchor]! < this.#count; anchor += 1) {
      const step = anchors[anchor]!;
      const pending = this.#pending[anchor]!;
      const slot = (this.#count % step) * (length + 1);
      const scale = pending[slot + length]!;
      for (let level = 0; level < levels.length; level += 1) {
        const cell = anchor * levels.length + level;
        const at = slot + level * this.#row;
        const own = pending[at + experts + 1]!;
        const given = pending[at + experts + 2]!;
        const quantile = levels[level]!;
        pool.learn(cell, value, pending, at, pending[at + experts]!, unit);
        const slope = slopeAt(quantile, value, own);
        pool.noteSquare(cell, this.#mixture.learn(cell, slope, pending, at, own, scale, keep));
        pool.calibrate(cell, value, given);
        this.#calibration.learn(cell, aims[level]!, value, given, calibrationStep);
        const entrants = this.#entrants;
        const learned = pool.hasSlot && !isFamiliar ? pending[at + this.#row - 1]! : Number.NaN;
        for (let expert = 0; expert < entrants; expert += 1) {
          const loss = pinballLoss(value, pending[at + expert]!, quantile);
          this.scores.add(expert, loss);
          if (Number.isFinite(learned)) this.#duel.add(expert, loss);
        }
        if (Number.isFinite(learned)) this.#duel.add(entrants, pinballLoss(value, learned, quantile));
        this.scores.add(entrants, pinballLoss(value, given, quantile));
      }
    }
    this.scores.close();
    if (this.#duel.close()) pool.learnedScored += 1;
  }

  /** Gives the origins that the pooled regression keeps of this series the value they wait for. */
  #complete(value: number): void {
    const { anchors, regression } = this.#pool;
    for (const { at, row, stamp, centre, scale } of this.#open) {
      const anchor = anchors.indexOf(this.#count - at);
      if (anchor !== -1) regression.complete(row, stamp, anchor, value, centre, scale);
    }
    if (this.#open.length > 0 && this.#count - this.#open[0]!.at >= anchors.at(-1)!) this.#open.shift();
  }

  /** After `missing` values that did not come, a step ahead is farther from what is known by so many. */
  forecast(steps: number): QuantileCurves {
    const { anchors, options, experts } = this.#pool;
    const { intervalMs, range } = options;
    if (this.#count === 0) return wholeRange(intervalMs, range, steps);
    const curves: [number[], number[], number[]] = [[], [], []];
    const young = Math.max(0, 1 - this.#count / youngValues) ** 2;
    const floor = (value: number) => (Number.isFinite(range.low) ? range.low : value - Math.abs(value));
    const ceiling = (value: number) => (Number.isFinite(range.high) ? range.high : value + Math.abs(value));
    const at = (anchor: number, level: number) =>
      this.#now[(anchor * levels.length + level) * this.#row + experts.length + 2]!;
    for (let step = 1; step <= steps; step += 1) {
      const { index, share } = placeOf(anchors, step + this.#missing);
      const [first, second, third] = levels
        .map((_, level) =>
          share === 0 ? at(index, level) : (1 - share) * at(index, level) + share * at(index + 1, level),
        )
        .sort((left, right) => left - right);
      curves[0].push(first! - young * (first! - floor(first!)));
      curves[1].push(second!);
      curves[2].push(third! + young * (ceiling(third!) - third!));
    }
    return { intervalMs, q10: curves[0], q50: curves[1], q90: curves[2] };
  }

  /** Mean weight of each member over all steps and levels; a learned model that is not used has none. */
  weights(): number[] {
    const experts = this.#pool.experts.length;
    const sums = new Array<number>(experts).fill(0);
    for (const [index, weight] of this.#mixture.weights.entries()) sums[index % experts]! += weight / this.#pool.cells;
    if (!this.#pool.hasSlot || this.#isUsed) return sums;
    const asleep = sums.pop()!;
    return [...sums.map((weight) => weight / (1 - asleep)), 0];
  }

  /** A hundredth of the size of the series, in which losses of different series are compared: of its range, or of its high values. */
  #unit(): number {
    const { low, high } = this.#pool.options.range;
    return (Number.isFinite(high - low) ? high - low : this.#size) / 100 + tiny;
  }
}
