import { seasonalSmoothing } from '../smoothing/seasonal.ts';
import type { Member } from './foresight.ts';

/** Members besides the engine's own bases and pooled regressions: a new one is a line here. */
export const standardMembers: readonly Member[] = [{ model: 'seasonal-smoothing', factory: seasonalSmoothing() }];
