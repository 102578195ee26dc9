import { withEmpiricalBands } from './empirical-bands.ts';

/** The future is the last value, as in `lastValue`, but with the errors of such forecasts as bands instead of a normal walk's. */
export const persistence = withEmpiricalBands('persistence', (history) => (origin) => history[origin - 1]!);
