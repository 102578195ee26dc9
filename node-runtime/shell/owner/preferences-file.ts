import * as z from 'zod';
import { type PreferencesChange, type PreferencesHeld, preferences, version } from '../../contract/index.ts';
import { changedBy, holdOf } from '../../core/index.ts';
import { writeDurably } from '../durable-file.ts';
import { type Home, readJson } from '../home.ts';

const preferencesFile = z.strictObject({ v: version, device: preferences.strict(), mesh: preferences.strict() });

/** What the owner of this device wants, as it is in the home. Throws `MESH_CONFIG_INVALID` when the file is not as it should be. */
export async function readPreferences(home: Home): Promise<PreferencesHeld> {
  const { device, mesh } = (await readJson(home.preferencesFile, preferencesFile)) ?? { device: {}, mesh: {} };
  return holdOf(device, mesh);
}

/**
 * What was held and what is said now, on disk when it resolves. What is lifted on the machine itself is lifted, whoever said
 * it: there its owner has the last word.
 *
 * @param layer where it was said
 */
export async function changePreferences(
  home: Home,
  held: PreferencesHeld,
  layer: 'device' | 'mesh',
  change: PreferencesChange,
): Promise<PreferencesHeld> {
  const lifted = Object.fromEntries(Object.entries(change).filter(([, value]) => value === null));
  const after = {
    device: layer === 'device' ? changedBy(held.device, change) : held.device,
    mesh: changedBy(held.mesh, layer === 'mesh' ? change : lifted),
  };
  if (JSON.stringify(after) !== JSON.stringify({ device: held.device, mesh: held.mesh }))
    await writeDurably(home.preferencesFile, `${JSON.stringify({ v: 1, ...after }, undefined, 2)}\n`);
  return holdOf(after.device, after.mesh);
}
