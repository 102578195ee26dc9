import * as z from 'zod';
import { limits } from '../limits.ts';
import { offerChange, withheld } from './preferences.ts';
import { count, fraction, identifier, version } from './shared.ts';

/** What is forecast of a node. `cpu` in shares of all its cores, `memory` in bytes, the network in bytes per second, each way. */
export const forecastResource = z.enum(['cpu', 'memory', 'network-in', 'network-out']);
export type ForecastResource = z.infer<typeof forecastResource>;

const curve = z.array(z.number().min(0)).min(1).max(limits.forecastSteps);

/**
 * For each step the value that is not exceeded with probability 0.1, 0.5 and 0.9; lists of equal length. The first step begins at
 * the origin of the forecast; each is the mean over its time.
 */
export const forecastBands = z.object({ q10: curve, q50: curve, q90: curve });
export type ForecastBands = z.infer<typeof forecastBands>;

/**
 * Which model has done best on this series, and how well, beside the forecast itself and beside the last value; for people. Scores are mean pinball
 * losses over the recent past, in the unit of the series, the lower the better; absent before anything was scored.
 */
export const forecastWhy = z.object({
  model: z.string().max(limits.forecastWhyCharacters),
  /** What it weighs among the models that the forecast is mixed of. */
  weight: fraction.optional(),
  /** Its own. */
  score: z.number().min(0).optional(),
  /** Of the forecast, which all models make together. */
  engineScore: z.number().min(0).optional(),
  lastValueScore: z.number().min(0).optional(),
  /** How many values the scores rest on. */
  evidence: count.optional(),
  /** The models that weigh most, with their weights. */
  text: z.string().max(limits.forecastWhyCharacters).optional(),
});
export type ForecastWhy = z.infer<typeof forecastWhy>;

export const resourceForecast = z.object({
  resource: forecastResource,
  /** What the device's own work takes. */
  own: forecastBands,
  /** What is left to the mesh: of what the owner allows, less the device's own work, less what is promised to tasks. Absent when nothing says how much there is in all. */
  available: forecastBands.optional(),
  why: forecastWhy.optional(),
});
export type ResourceForecast = z.infer<typeof resourceForecast>;

/** `forecast/<node>`, retained: what a node will have to spare. The leader makes it anew once a step; for whoever wants to see it. */
export const nodeForecast = z.object({
  v: version,
  node: identifier,
  /** Which leader has made it, in which term. */
  leader: identifier,
  term: count,
  /** The leader's clock at the origin, milliseconds since 1970: to be compared with that leader's clock alone. */
  originWallMs: count,
  /** From one step to the next, and how many. */
  intervalMs: z.number().positive(),
  steps: count.min(1).max(limits.forecastSteps),
  /** What the node has: all its cores, all its memory. */
  cores: z.number().positive(),
  memoryBytes: count,
  /** What its owner lets the mesh use of its cores and of its memory, at most. */
  share: fraction,
  offeredMemoryBytes: count,
  /** How many steps of its past the forecast was made from, those that nobody has measured included. */
  observedSteps: count,
  withheld: withheld.optional(),
  /** What its owner's hours and network budget will change, counted from the origin; what is available is made by it. */
  ahead: z.array(offerChange).max(limits.offerChanges).optional(),
  resources: z.array(resourceForecast).max(forecastResource.options.length),
  /** For each step the probability that the node has left the mesh by its end. */
  left: z.array(fraction).max(limits.forecastSteps).optional(),
});
export type NodeForecast = z.infer<typeof nodeForecast>;
