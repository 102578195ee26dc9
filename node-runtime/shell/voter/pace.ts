import type { PlannerConfig } from '../../core/index.ts';
import type { NodeOptions } from '../node-options.ts';

/** After an election: how long nodes may say what still runs before anything is assigned anew. */
const inventoryGraceMs = { lan: 500, edge: 1_500 };
/** A step of a forecast is a minute of samples, as is a mean of the history. */
const samplesPerStep = 12;

/** How a leader paces itself, by the profile of its mesh and by how often its nodes measure. */
export function paceOf(
  profile: keyof typeof inventoryGraceMs,
  { sampleIntervalMs }: Pick<NodeOptions, 'sampleIntervalMs'>,
): Partial<PlannerConfig> {
  const grace = { inventoryGraceMs: inventoryGraceMs[profile] };
  return sampleIntervalMs === undefined ? grace : { ...grace, forecastStepMs: samplesPerStep * sampleIntervalMs };
}
