import { arima } from './arima/forecaster.ts';
import type { FitArima } from './arima/model.ts';
import type { ForecasterFactory } from './forecaster.ts';
import { lastValue } from './last-value.ts';
import { seasonalSmoothing } from './smoothing/seasonal.ts';

/** Every model that forecasts a series by what is known of that series alone, by its name; the plainest first. A new one is added here. */
export function forecastersBy(fit: FitArima): ReadonlyMap<string, ForecasterFactory> {
  return new Map([
    ['last-value', lastValue],
    ['seasonal-smoothing', seasonalSmoothing()],
    ['arima', arima({ fit })],
  ]);
}
