import { check, MeshError } from '@foremesh/node-runtime/contract';
import * as z from 'zod';
import { brokerProfiles } from '../engine/broker.ts';
import { faultKinds, raftPaces, type Scenario, scenarioOf } from './scenario.ts';
import { jobKinds } from './virtual-jobs.ts';

/** What a scenario may ask of this machine: runs that are drawn from seeds stay far below. */
export const scenarioLimits = { nodes: 64, jobs: 100, faults: 1_000, voterWishes: 100, durationMs: 3_600_000 } as const;

const count = (most: number, least = 0) => z.int().min(least).max(most);
const durationMs = count(scenarioLimits.durationMs);
const percent = count(100);
const oneOf = <Name extends string>(names: readonly Name[]) => z.enum(names as [Name, ...Name[]]);
const namesOf = <Name extends string>(named: Readonly<Record<Name, unknown>>) => oneOf(Object.keys(named) as Name[]);

const scenarioSchema = z.strictObject({
  profile: namesOf(brokerProfiles),
  nodes: count(scenarioLimits.nodes, 1),
  mayLead: count(scenarioLimits.nodes, 1),
  voters: z
    .array(
      z.strictObject({
        atMs: durationMs,
        count: z.literal([1, 3, 5]).optional(),
        settleMs: durationMs,
        replaceAfterMs: durationMs,
      }),
    )
    .min(1)
    .max(scenarioLimits.voterWishes),
  pace: namesOf(raftPaces),
  jobs: z
    .array(z.strictObject({ job: z.string().regex(/^[a-z0-9]{1,16}$/), kind: oneOf(jobKinds), submitMs: durationMs }))
    .max(scenarioLimits.jobs),
  faults: z
    .array(
      z.strictObject({
        kind: oneOf(faultKinds),
        atMs: durationMs,
        forMs: durationMs,
        machine: z.string().regex(/^(leader|n\d{1,2})$/, 'leader, or a node: n0, n1, ...'),
      }),
    )
    .max(scenarioLimits.faults),
  calmForMs: durationMs,
  faultsForMs: durationMs,
  weather: z.strictObject({
    delayMostMs: durationMs,
    lossPercent: percent,
    dropPercent: percent,
    duplicatePercent: percent,
    lostWillPercent: percent,
  }),
  fetchFailPercent: percent,
  throwPercent: percent,
  checkpointPercent: percent,
  strayPercent: percent,
  rivalCutPercent: percent,
  driftPermille: count(1_000),
  syncMostMs: durationMs,
  inventoryIntervalMs: count(scenarioLimits.durationMs, 1),
  inventoryGraceMs: durationMs,
});

/** What is wrong is said with its place in this. */
const option = '--scenario';
const given = z.object({ [option]: scenarioSchema.partial().extend({ seed: count(2 ** 32 - 1) }) });

/**
 * A scenario as `fuzz` prints it, perhaps of an older release, or changed by hand: what it does not say is as its seed draws it. Throws a `MeshError` that
 * says where it is wrong.
 */
export function readScenario(text: string): Scenario {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new MeshError('MESH_USAGE', `${option} is not JSON: ${(error as Error).message}`);
  }
  const { [option]: read } = check(given, { [option]: json }, 'MESH_USAGE');
  return { ...scenarioOf(read.seed), ...read } as Scenario;
}
