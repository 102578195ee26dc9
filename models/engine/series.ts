import { historyLength, magnitudeMost, measured } from '../baselines/empirical-bands.ts';
import { aims, QuantileTracker } from '../calibration/quantile-tracker.ts';
import type { Forecaster, GlobalModel, QuantileCurves, SeriesWindow } from '../forecaster.ts';
import { pinballLoss } from '../scoring/scores.ts';
import { SeasonWatch } from '../season/season-watch.ts';
import { strideOf } from './anchors.ts';
import { Bends } from './bends.ts';
import { Duel } from './duel.ts';
import { curvesThrough } from './latest-curves.ts';
import { LevelWatch } from './level-watch.ts';
import { Mixture, slopeAt } from './mixture.ts';
import { mix, PendingForecasts } from './pending-forecasts.ts';
import type { Pool } from './pool.ts';
import { pooledModels } from './pooled-regression.ts';
import { Scoreboard } from './scoreboard.ts';
import { SeasonCredit } from './season-credit.ts';
import { ShiftTrust } from './shift-trust.ts';
import { Slab } from './slab.ts';
import { baseColumns, bases, levels, Track } from './track.ts';
import { Wakefulness } from './wakefulness.ts';

/**
 * Values over which losses fade in the weights of the members: a week of minutes. Most is lost at rare changes, and one must not be
 * forgotten before the next: what comes back weekly is met again.
 */
const valuesKept = 10_080;
const keep = 1 - 1 / valuesKept;
/** How fast weights answer losses: one series says less than all, but only it is forecast. */
const pace = 3;
/** The same where members have rates of their own: between 4 and 10 it makes little difference. */
const ownRatesPace = 6;
/** What the pooled weights are worth: this many values, and twice as many where few bursts make nearly all of the loss. */
const doubt = 50;
const ownRatesDoubt = 100;
/** Own steps of the calibration, in scales, and how they fade. */
const calibrationStep = 0.0025;
const calibrationDecay = 0.003;
/** Least unit of a series' movements, in hundredths of its size. */
const scaleLeast = 0.02;
const tiny = 1e-9;
/** Speaks for members that have nothing to say. */
const aside = bases.indexOf('smoothing-slow');

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
  readonly members: readonly Forecaster[];
  readonly #pool: Pool;
  readonly #watch: SeasonWatch;
  readonly #track: Track;
  readonly #mixture: Mixture;
  readonly #calibration: QuantileTracker;
  /** The pool's, for the time of a `predict`. */
  readonly #now: Float32Array;
  readonly #row: number;
  /** What was said last, per cell. */
  readonly #latest: Float32Array;
  readonly #pending: PendingForecasts;
  /** Of the model in the pool's slot against the other members. */
  #duel: Duel;
  #learnedNumber = 0;
  /** Whether it was to be asked after the newest value. */
  #hears = false;
  readonly #wakefulness: Wakefulness;
  readonly #level: LevelWatch;
  /** Not where the range is open: what two bursts have in common says little. */
  readonly #credit: SeasonCredit | undefined;
  /** Of members that know every step, what they said, for the time of a `predict`; and how that bends the mix between its anchors. */
  readonly #curves: (readonly [expert: number, curves: QuantileCurves])[] = [];
  #bends: Bends | undefined;
  #open: Origin[] = [];
  #count = 0;
  #missing = 0;
  #size = 0;

  constructor(pool: Pool) {
    this.#pool = pool;
    this.#watch = new SeasonWatch(pool.options);
    this.members = pool.join(this.#watch);
    this.#wakefulness = new Wakefulness(pool.challengers);
    const slab = new Slab(pool.slabLength);
    this.#track = new Track(pool.anchors, pool.reading, slab.take);
    this.#level = new LevelWatch(slab.take);
    if (!pool.ownRates) this.#credit = new SeasonCredit(this.#watch, pool.anchors);
    this.#mixture = new Mixture(
      pool.cells,
      pool.experts.length,
      pool.challengers.length,
      pool.ownRates,
      pool.weights,
      slab.take,
    );
    this.#calibration = new QuantileTracker(slab.take(pool.cells), calibrationDecay);
    this.scores = new Scoreboard(this.#entrants + 1, slab.take);
    this.#duel = new Duel(pool.experts.length, pool.size);
    this.#row = pool.row;
    this.#now = pool.now;
    this.#latest = slab.take(pool.cells);
    this.#pending = new PendingForecasts(pool, slab.take);
    pool.slabLength = slab.taken;
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
    return this.#duel.isUsed;
  }

  /** Whether the learned model is to be asked after the value that comes. */
  get hearsLearned(): boolean {
    return this.#learnedNumber !== this.#pool.learnedNumber || this.#duel.asks(this.#count);
  }

  /** Takes a value in, or NaN for a missing one; false where there is nothing new to be predicted. See `ObservedValue` for `isFamiliar`. */
  absorb(value: number, isFamiliar = false): boolean {
    const number = measured(value, this.#pool.options.range);
    if (number === undefined) {
      this.#missing += 1;
      // Those that follow a season count the time that passes.
      this.#tell(Number.NaN);
      return false;
    }
    this.#hears = this.hearsLearned;
    this.#count += 1;
    this.#missing = 0;
    this.#size += (Math.abs(number) - this.#size) / this.#count;
    this.#pool.see(number);
    this.#score(number, isFamiliar);
    this.#track.push(number);
    this.#level.push(this.#track.values);
    this.#tell(number);
    this.#credit?.follow(this.#count);
    return true;
  }

  /** See `Forecaster.recall`. */
  recall(values: ArrayLike<number>): void {
    this.#watch.recall(values);
  }

  #tell(value: number): void {
    if (this.members.length === 0) return;
    this.#watch.observe(value);
    for (const member of this.members) member.observe(value);
  }

  /** What a global model reads of the last values and of those that come now, or undefined while there is too little. */
  window({ lags, context = lags }: GlobalModel, coming: readonly number[]): SeriesWindow | undefined {
    const past = this.#track.values;
    const size = past.size + coming.length;
    if (size < lags || lags > historyLength) return undefined;
    const values = new Float64Array(Math.min(size, context));
    for (let index = 0, age = values.length; age > 0; index += 1, age -= 1)
      values[index] = age > coming.length ? past.back(age - coming.length) : coming[coming.length - age]!;
    return { ...this.#pool.options, values };
  }

  /** Forecasts anew after `absorb`, with what the global models said, in their order. */
  predict(answers: readonly (QuantileCurves | undefined)[]): void {
    const { anchors, asleep, experts, globals, quiet, regression } = this.#pool;
    asleep.fill(0);
    quiet.fill(0);
    this.#track.read();
    this.#track.unit(scaleLeast * this.#unit());
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
    for (const member of this.members)
      this.#enter(expert++, member.ready === false ? undefined : member.forecast(farthest));
    for (const index of globals.keys()) this.#enter(expert++, answers[index]);
    if (this.#pool.hasSlot) this.#hearLearned(this.#hears ? answers[globals.length] : undefined);
    this.#mix(experts.length);
    this.#bend();
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
      this.#learnedNumber = learnedNumber;
      this.#duel = new Duel(this.#pool.experts.length, this.#duel.turn);
      this.#pending.forgetLearned();
    }
    const said = curves === undefined ? [] : [curves.q10, curves.q50, curves.q90];
    for (let anchor = 0, next = this.#row - 1; anchor < anchors.length; anchor += 1)
      for (let level = 0; level < levels.length; level += 1, next += this.#row) {
        const curve = said[level];
        this.#now[next] = curve === undefined ? Number.NaN : curve[Math.min(anchors[anchor]!, curve.length) - 1]!;
      }
    this.#duel.judge(curves !== undefined, this.#pool.learnedScored);
    if (curves !== undefined) this.#curves.push([this.#entrants, curves]);
  }

  /** The curves of a member at the anchors; it stands aside where it has none, or knows nothing but an open range. */
  #enter(expert: number, curves: QuantileCurves | undefined): void {
    this.#stand(expert);
    if (curves === undefined) return;
    this.#pool.quiet[expert] = 0;
    this.#curves.push([expert, curves]);
    const { anchors } = this.#pool;
    const said = [curves.q10, curves.q50, curves.q90];
    for (let anchor = 0, next = expert; anchor < anchors.length; anchor += 1)
      for (let level = 0; level < levels.length; level += 1, next += this.#row) {
        const curve = said[level]!;
        const value = curve[Math.min(anchors[anchor]!, curve.length) - 1]!;
        if (Math.abs(value) <= magnitudeMost) this.#now[next] = value;
      }
  }

  /** A member that stands aside says what the slow smoothing does: it neither helps nor harms. */
  #stand(expert: number): void {
    const { cells, quiet } = this.#pool;
    for (let cell = 0; cell < cells; cell += 1)
      this.#now[cell * this.#row + expert] = this.#now[cell * this.#row + aside]!;
    quiet[expert] = 1;
  }

  #mix(experts: number): void {
    const { low, high } = this.#pool.options.range;
    const { scale } = this.#track;
    const now = this.#now;
    const { asleep, quiet, shifts, slow } = this.#pool;
    const since = this.#level.since;
    for (const expert of slow) quiet[expert] = 1;
    for (let expert = 0; expert < experts; expert += 1)
      if (this.#sleeps(expert)) {
        asleep[expert] = 1;
        quiet[expert] = 1;
      }
    for (let cell = 0; cell < this.#pool.cells; cell += 1) {
      const at = cell * this.#row;
      this.#weigh(cell);
      if (this.#pool.hasSlot) now[at + experts - 1] = this.usesLearned ? now[at + this.#row - 1]! : Number.NaN;
      for (let expert = at; expert < at + experts; expert += 1)
        now[expert] = Math.min(high, Math.max(low, now[expert]!));
      const all = this.#mixture.mix(cell, now, at, asleep);
      const quick = since > 0 ? this.#mixture.mix(cell, now, at, quiet) : Number.NaN;
      const own = since > 0 ? all + shifts.share(ShiftTrust.ageOf(since), cell) * (quick - all) : all;
      const shift = this.#calibration.offsets[cell]! + this.#pool.offsets[cell]!;
      now[at + experts + mix.pooled] = this.#pool.mixture.mix(cell, now, at, asleep);
      now[at + experts + mix.own] = own;
      now[at + experts + mix.given] = Math.min(high, Math.max(low, own + scale * shift));
      now[at + experts + mix.all] = all;
      now[at + experts + mix.quick] = quick;
    }
  }

  #bend(): void {
    const { anchors, experts, weights } = this.#pool;
    const heard = this.#curves.filter(([expert]) => !this.#sleeps(expert));
    this.#curves.length = 0;
    if (heard.length === 0) {
      this.#bends = undefined;
      return;
    }
    const bends = this.#bends ?? new Bends(anchors);
    this.#bends = bends;
    bends.clear();
    const awake = experts.flatMap((_, expert) => (this.#sleeps(expert) ? [] : [expert]));
    for (const [member, curves] of heard)
      bends.add(curves, (anchor, level) => {
        const cell = (anchor * levels.length + level) * experts.length;
        return weights[cell + member]! / awake.reduce((sum, expert) => sum + weights[cell + expert]!, 0);
      });
  }

  /** Whether what an expert says has no part in the forecasts. */
  #sleeps(expert: number): boolean {
    return expert === this.#entrants ? !this.usesLearned : this.#wakefulness.sleeps(expert);
  }

  #weigh(cell: number): void {
    const { followers, mixture, meanSquares, ownRates } = this.#pool;
    const [ownPace, ownDoubt] = ownRates ? [ownRatesPace, ownRatesDoubt] : [pace, doubt];
    this.#mixture.weigh(cell, ownPace, mixture, ownDoubt, meanSquares);
    const share = this.#credit?.share(Math.floor(cell / levels.length), this.#count) ?? 0;
    if (share > 0) for (const expert of followers) this.#mixture.lift(cell, expert, share);
  }

  /** What is said now, and waits for the values that it is about. */
  #remember(): void {
    const { cells, experts } = this.#pool;
    for (let cell = 0; cell < cells; cell += 1)
      this.#latest[cell] = this.#now[cell * this.#row + experts.length + mix.given]!;
    this.#pending.remember(this.#count, this.#track.scale, this.#level.since);
  }

  #score(value: number, isFamiliar: boolean): void {
    const pool = this.#pool;
    const pending = this.#pending;
    const { anchors } = pool;
    this.#complete(value);
    const unit = this.#unit();
    const heard = this.#now;
    for (let anchor = 0; anchor < anchors.length && anchors[anchor]! < this.#count; anchor += 1) {
      if (this.#count % strideOf(anchors[anchor]!) !== 0) continue;
      pending.seek(anchor, this.#count);
      const { scale, since } = pending;
      for (let level = 0; level < levels.length; level += 1) {
        const cell = anchor * levels.length + level;
        const own = pending.said(level, mix.own);
        const given = pending.said(level, mix.given);
        const quantile = levels[level]!;
        pending.readMembers(level, heard);
        const entrants = this.#entrants;
        const learned = pool.hasSlot && !isFamiliar ? pending.learned(level) : Number.NaN;
        for (let expert = 0; expert < entrants; expert += 1) {
          const loss = pinballLoss(value, heard[expert]!, quantile);
          this.scores.add(expert, loss);
          if (Number.isFinite(learned)) this.#duel.add(expert, loss);
        }
        if (Number.isFinite(learned)) this.#duel.add(entrants, pinballLoss(value, learned, quantile));
        this.scores.add(entrants, pinballLoss(value, given, quantile));
        if (since > 0) {
          const loss = (which: number) => pinballLoss(value, pending.said(level, which), quantile) / unit;
          pool.shifts.learn(ShiftTrust.ageOf(since), cell, loss(mix.all), loss(mix.quick));
        }
        this.#wakefulness.silence(heard);
        pool.learn(cell, value, heard, 0, pending.said(level, mix.pooled), unit);
        const slope = slopeAt(quantile, value, own);
        this.#mixture.learn(cell, slope, heard, 0, own, scale, keep, pool.newSquares);
        pool.noteSquares(cell);
        pool.calibrate(cell, value, given);
        this.#calibration.learn(cell, aims[level]!, value, given, calibrationStep);
      }
    }
    this.scores.close();
    this.#wakefulness.update(this.scores);
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

  forecast(steps: number): QuantileCurves {
    const { anchors, magnitude, options } = this.#pool;
    const seen = { count: this.#count, size: this.#track.greatest || magnitude };
    const latest = { anchors, said: this.#latest, bends: this.#bends, missing: this.#missing, seen };
    return curvesThrough(latest, options, steps);
  }

  /** Mean weight of each member over all steps and levels; one that sleeps has none. */
  weights(): number[] {
    const experts = this.#pool.experts.length;
    const sums = new Array<number>(experts).fill(0);
    for (let cell = 0; cell < this.#pool.cells; cell += 1) this.#weigh(cell);
    for (const [index, weight] of this.#mixture.weights.entries()) sums[index % experts]! += weight;
    for (let expert = 0; expert < experts; expert += 1) if (this.#sleeps(expert)) sums[expert] = 0;
    const awake = sums.reduce((sum, weight) => sum + weight, 0);
    return sums.map((weight) => weight / awake);
  }

  /** A hundredth of the size of the series, in which losses of different series are compared: of its range, or of its mean: the 90 % quantile of one that mostly rests is 0. */
  #unit(): number {
    const { low, high } = this.#pool.options.range;
    return (Number.isFinite(high - low) ? high - low : this.#size) / 100 + tiny;
  }
}
