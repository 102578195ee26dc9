import type { Scoreboard } from './scoreboard.ts';

/** Which challengers take part in the forecasts of a series. */
export class Wakefulness {
  readonly #challengers: readonly number[];
  readonly #awake: boolean[];

  /** @param challengers among the experts, those that only take part as champions */
  constructor(challengers: readonly number[]) {
    this.#challengers = challengers;
    this.#awake = challengers.map(() => false);
  }

  /** Whether this expert is a challenger that has no part. */
  sleeps(expert: number): boolean {
    const challenger = this.#challengers.indexOf(expert);
    return challenger !== -1 && !this.#awake[challenger];
  }

  /** Takes out what those say that sleep, one forecast an expert: they neither win nor lose by it. */
  silence(forecasts: Float32Array): void {
    for (let index = 0; index < this.#challengers.length; index += 1)
      if (!this.#awake[index]) forecasts[this.#challengers[index]!] = Number.NaN;
  }

  /** A challenger wakes where it is the champion and better than the engine without it, and sleeps when it is not the champion any more. */
  update({ champion, losses }: Scoreboard): void {
    for (const [index, expert] of this.#challengers.entries())
      this.#awake[index] = expert === champion && (this.#awake[index]! || losses[expert]! < losses.at(-1)!);
  }
}
