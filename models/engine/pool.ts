import { aims, QuantileTracker } from '../calibration/quantile-tracker.ts';
import type { Forecaster, GlobalModel, SeriesOptions } from '../forecaster.ts';
import type { SeasonWatch } from '../season/season-watch.ts';
import { anchorsUpTo, strideOf } from './anchors.ts';
import type { Member } from './foresight.ts';
import { Mixture, type MixtureState, slopeAt } from './mixture.ts';
import { mixes } from './pending-forecasts.ts';
import { type PooledCoefficients, PooledRegression, pooledModels } from './pooled-regression.ts';
import { ShiftTrust } from './shift-trust.ts';
import { bases, levels, type Reading, readingOf, slowBases } from './track.ts';

/** Rounds of all series over which pooled losses fade. */
const roundsKept = 300;
/** Pooled step of the calibration, in scales per round of all series. */
const calibrationStep = 0.02;
/** What few series have in common is mostly chance: so many take half the step. */
const fewSeries = 10;

/** Has nothing to say, ever. */
const standsAside: Forecaster = {
  model: 'none',
  ready: false,
  observe: () => {},
  forecast: () => {
    throw new Error('it is not ready');
  },
};

export interface PoolState {
  /** The steps and members that it is of. */
  readonly shape: string;
  readonly regression: PooledCoefficients | null;
  readonly mixture: MixtureState;
  readonly offsets: readonly number[];
  readonly squares: readonly number[];
}

/** What all series of a kind share: learned regressions, weights of the members, calibration. */
export class Pool {
  readonly options: SeriesOptions;
  readonly members: readonly Member[];
  readonly globals: readonly GlobalModel[];
  /** Whether there is a place, the last, for a model that is learned meanwhile. */
  readonly hasSlot: boolean;
  readonly anchors: readonly number[];
  /** Among `experts`, those of the members that only take part as champions. */
  readonly challengers: readonly number[];
  /** Among `experts`, those of the members that follow a season. */
  readonly followers: readonly number[];
  /** Among `experts`, those that go by a long past, and say little where a series is at a level that it has not. */
  readonly slow: readonly number[];
  /** Names of all members, in the order of their weights. */
  readonly experts: string[];
  readonly cells: number;
  /** Numbers per cell of a forecast: what the members said, the mixes, and, where there is a slot, what its model said itself. */
  readonly row: number;
  /** Per anchor, how many origins wait for their values at nearer anchors; and last, at all. */
  readonly origins: readonly number[];
  /** What a series says just now, `row` numbers per cell: made anew by each, so one serves all. */
  readonly now: Float32Array;
  /** As `now`: 1 for each of the experts that has no part in the forecasts, and that has none where only those speak that follow a new level at once. */
  readonly asleep: Uint8Array;
  readonly quiet: Uint8Array;
  readonly shifts: ShiftTrust;
  /** As `now`: the weights of the members in a series. */
  readonly weights: Float32Array;
  /** As `now`: the squared losses that a mixture learned from, per rate. */
  readonly newSquares: Float64Array;
  /** As `now`: what the track of a series reads. */
  readonly reading: Reading;
  readonly regression: PooledRegression;
  readonly mixture: Mixture;
  /** Per cell, in scales of a series. */
  readonly offsets: Float32Array;
  /** Whether members learn by rates of their own: where the range is open, as of networks, few bursts make nearly all of the loss. */
  readonly ownRates: boolean;
  /** Per cell and rate, the running mean of the greatest squared loss, as it was at the end of the last round. */
  readonly meanSquares: Float64Array;
  /** How many series there are. */
  size = 0;
  /** Numbers that a series takes from its slab, as the first one told. */
  slabLength = 0;
  readonly #calibration: QuantileTracker;
  readonly #squares: Float64Array;
  readonly #shape: string;
  /** For how many series each of `members` speaks. */
  readonly #speaking: number[];
  #answers = 0;
  /** The mean absolute value of all its series. */
  magnitude = 0;
  #seen = 0;
  /** The model in the slot, how many models were there, and how many of its forecasts have been compared with what came. */
  learned: GlobalModel | undefined;
  learnedNumber = 0;
  learnedScored = 0;

  constructor(
    options: SeriesOptions,
    steps: number,
    members: readonly Member[],
    globals: readonly GlobalModel[],
    hasSlot = false,
  ) {
    this.options = options;
    this.members = members;
    this.#speaking = members.map(() => 0);
    this.globals = globals;
    this.hasSlot = hasSlot;
    this.anchors = anchorsUpTo(steps);
    this.experts = [
      ...bases,
      ...pooledModels,
      ...members.map(({ model }) => model),
      ...globals.map(({ model }) => model),
      ...(hasSlot ? ['learned'] : []),
    ];
    this.#shape = `steps ${this.anchors.join(', ')} and members ${this.experts.join(', ')}`;
    this.cells = this.anchors.length * levels.length;
    this.ownRates = options.range.high === Number.POSITIVE_INFINITY;
    this.row = this.experts.length + mixes + (hasSlot ? 1 : 0);
    const first = bases.length + pooledModels.length;
    const among = (is: (member: Member) => boolean | undefined) =>
      members.flatMap((member, index) => (is(member) === true ? [first + index] : []));
    this.challengers = among(({ challenges }) => challenges);
    this.followers = among(({ followsSeason }) => followsSeason);
    this.slow = [...slowBases, ...pooledModels].map((model) => this.experts.indexOf(model));
    this.asleep = new Uint8Array(this.experts.length);
    this.quiet = new Uint8Array(this.experts.length);
    this.shifts = new ShiftTrust(this.cells);
    let origins = 0;
    this.origins = [0, ...this.anchors.map((step) => (origins += step / strideOf(step)))];
    this.now = new Float32Array(this.cells * this.row);
    this.weights = new Float32Array(this.cells * this.experts.length);
    this.reading = readingOf(this.anchors);
    this.regression = new PooledRegression(this.anchors);
    this.mixture = new Mixture(this.cells, this.experts.length, this.challengers.length, this.ownRates);
    this.newSquares = new Float64Array(this.mixture.rates);
    this.offsets = new Float32Array(this.cells);
    this.meanSquares = new Float64Array(this.cells * this.mixture.rates);
    this.#calibration = new QuantileTracker(new Float32Array(this.cells), 0);
    this.#squares = new Float64Array(this.cells * this.mixture.rates);
  }

  /** All that are asked in batches, in the order of their answers. */
  get asked(): readonly GlobalModel[] {
    return this.learned === undefined ? this.globals : [...this.globals, this.learned];
  }

  /** A value of any of its series. */
  see(value: number): void {
    this.#seen += 1;
    this.magnitude += (Math.abs(value) - this.magnitude) / this.#seen;
  }

  /** Puts a model in the slot, in the place of the one before. */
  use(model: GlobalModel): void {
    this.learned = model;
    this.learnedNumber += 1;
    this.learnedScored = 0;
    this.experts[this.experts.length - 1] = model.model;
  }

  /** A series more, and its members, which share `watch`; `standsAside` in the place of those that are for no more series. */
  join(watch: SeasonWatch): Forecaster[] {
    this.size += 1;
    return this.members.map(({ factory, seriesMost = Number.POSITIVE_INFINITY }, index) => {
      if (this.#speaking[index]! >= seriesMost) return standsAside;
      this.#speaking[index]! += 1;
      return factory(this.options, watch);
    });
  }

  leave(members: readonly Forecaster[]): void {
    this.size -= 1;
    for (const [index, member] of members.entries()) if (member !== standsAside) this.#speaking[index]! -= 1;
  }

  /** Takes in the value that a forecast of a series was about; `unit` is the size of the series. */
  learn(cell: number, value: number, forecasts: Float32Array, at: number, mixed: number, unit: number): void {
    const slope = slopeAt(levels[cell % levels.length]!, value, mixed);
    this.mixture.learn(cell, slope, forecasts, at, mixed, unit, 1 - 1 / (roundsKept * this.size), this.newSquares);
  }

  calibrate(cell: number, value: number, given: number): void {
    this.#calibration.learn(cell, aims[cell % levels.length]!, value, given, calibrationStep / (this.size + fewSeries));
  }

  /** Takes in `newSquares`, those of a series. */
  noteSquares(cell: number): void {
    const { newSquares } = this;
    for (let rate = 0, at = cell * newSquares.length; rate < newSquares.length; rate += 1, at += 1)
      this.#squares[at]! += (newSquares[rate]! - this.#squares[at]!) / (roundsKept * this.size);
  }

  /**
   * Said by each series after each value. What was learned takes effect when all have had their say, so that within a round
   * the order of values and forecasts does not matter.
   */
  answered(): void {
    this.#answers += 1;
    if (this.#answers < this.size) return;
    this.#answers = 0;
    for (let cell = 0; cell < this.cells; cell += 1) this.mixture.weigh(cell);
    this.offsets.set(this.#calibration.offsets);
    this.meanSquares.set(this.#squares);
    this.shifts.settle();
  }

  save(): PoolState {
    return {
      shape: this.#shape,
      regression: this.regression.save(),
      mixture: this.mixture.save(),
      offsets: [...this.#calibration.offsets],
      squares: [...this.#squares],
    };
  }

  /** Throws a RangeError for what was learned with other steps or members. */
  restore(state: PoolState): void {
    if (state.shape !== this.#shape)
      throw new RangeError(`what was learned of ${state.shape} does not fit ${this.#shape}`);
    this.regression.restore(state.regression);
    this.mixture.restore(state.mixture);
    this.offsets.set(state.offsets);
    this.#calibration.offsets.set(state.offsets);
    this.meanSquares.set(state.squares);
    this.#squares.set(state.squares);
  }
}
