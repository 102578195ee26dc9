import type { LevelValues } from './history.ts';

/** A season that saves less is not worth to be followed before it has shown in forecasts what it is worth. */
export const gainLeast = 0.5;

/**
 * What a season of that many steps would have saved of the squared errors of a forecast `steps` ahead, had what came one period before been taken
 * for it: 1 where that was all, 0 and below where the last value or the mean did no worse. Out of the sample: no value tells of itself. The finest level that
 * holds two periods is read; -Infinity where none does.
 */
export function seasonGain(levels: readonly LevelValues[], period: number, steps: number): number {
  const level = levels.find(({ values, stride }) => values.length * stride >= 2 * period);
  if (level === undefined) return Number.NEGATIVE_INFINITY;
  const { values, stride } = level;
  const lag = Math.round(period / stride);
  const reach = Math.max(1, Math.round(steps / stride));
  let mean = 0;
  for (const value of values) mean += value / values.length;
  let [bySeason, byLast, byMean] = [0, 0, 0];
  for (let index = Math.max(lag, reach); index < values.length; index += 1) {
    const value = values[index]!;
    bySeason += (value - values[index - lag]!) ** 2;
    byLast += (value - values[index - reach]!) ** 2;
    byMean += (value - mean) ** 2;
  }
  const least = Math.min(byLast, byMean);
  return least > 0 ? 1 - bySeason / least : Number.NEGATIVE_INFINITY;
}
