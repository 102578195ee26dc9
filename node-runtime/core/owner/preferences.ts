import type { Preferences, PreferencesChange, PreferencesHeld } from '../../contract/index.ts';

/** What an owner wants who has said nothing. */
export const shareDefault = 0.5;

/** What holds of what was said on the machine itself and what was said through the mesh: of each limit the stricter. */
export function holdOf(device: Preferences, mesh: Preferences): PreferencesHeld {
  type Value<Name extends keyof Preferences> = NonNullable<Preferences[Name]>;
  const both = <Name extends keyof Preferences>(
    name: Name,
    stricter: (ours: Value<Name>, theirs: Value<Name>) => Value<Name>,
  ): Pick<Preferences, Name> | undefined => {
    const ours = device[name] as Value<Name> | undefined;
    const theirs = mesh[name] as Value<Name> | undefined;
    const value = ours === undefined || theirs === undefined ? (ours ?? theirs) : stricter(ours, theirs);
    return value === undefined ? undefined : ({ [name]: value } as Pick<Preferences, Name>);
  };
  return {
    device,
    mesh,
    holds: {
      ...both('share', Math.min),
      ...both('mode', (a, b) => (a === 'paused' ? a : b)),
      // Both must allow it, and what is stricter is not to be seen: the machine's own word.
      ...both('hours', (ours) => ours),
      ...both('temperatureMostCelsius', Math.min),
      ...both('batteryLeastShare', Math.max),
      ...both('memoryFreeLeastBytes', Math.max),
      ...both('networkMostBytesPerDay', Math.min),
      ...both('onlyLabels', (ours) => ours),
    },
  };
}

/** What was said before, and on top of it what is said now. */
export function changedBy(before: Preferences, change: PreferencesChange): Preferences {
  const after: Record<string, unknown> = { ...before };
  for (const [name, value] of Object.entries(change)) {
    if (value === null) delete after[name];
    else if (value !== undefined) after[name] = value;
  }
  return after;
}
