import { type Command, InvalidArgumentError } from 'commander';
import {
  hoursPattern,
  isIdentifier,
  limits,
  type Preferences,
  type PreferencesChange,
  type PreferencesHeld,
} from '../contract/index.ts';
import { shareDefault } from '../core/owner/preferences.ts';
import { bytesText, percentText } from './text.ts';

/** What lifts a limit. */
const any = 'any' as const;
type OrAny<T> = T | typeof any;

export interface PreferenceOptions {
  readonly hours?: OrAny<string[]>;
  readonly temperature?: OrAny<number>;
  readonly battery?: OrAny<number>;
  readonly keepMemory?: OrAny<number>;
  readonly network?: OrAny<number>;
  readonly only?: OrAny<string[]>;
}

/** What an owner can say beside the share, of `foremesh share` and of `foremesh node`. */
export function addPreferenceOptions(command: Command): Command {
  return command
    .option(
      '--hours <list>',
      'when the mesh may use it: 22:00-07:00, or Mon-Fri 18:00-08:00,Sat-Sun 00:00-24:00',
      orAny(parseHours),
    )
    .option('--temperature <celsius>', 'slow down above this, and leave when that does not help', orAny(parseCelsius))
    .option('--battery <share>', 'run nothing below this while on battery: 30%', orAny(parseShare))
    .option('--keep-memory <size>', 'what must stay available for the device: 500MB', orAny(parseSize))
    .option('--network <size>', 'what the node may send and receive in 24 hours: 2GB', orAny(parseSize))
    .option('--only <labels>', 'take only tasks that ask for one of these labels', orAny(parseLabels));
}

/** What was given, and null for what was lifted. */
export function changeOf(options: PreferenceOptions): PreferencesChange {
  const { hours, temperature, battery, keepMemory, network, only } = options;
  // Not null at once: commander takes null for no value at all.
  const given = <Name extends keyof Preferences>(
    name: Name,
    value: OrAny<NonNullable<Preferences[Name]>> | undefined,
  ) => (value === undefined ? {} : { [name]: value === any ? null : value });
  return {
    ...given('hours', hours),
    ...given('temperatureMostCelsius', temperature),
    ...given('batteryLeastShare', battery),
    ...given('memoryFreeLeastBytes', keepMemory),
    ...given('networkMostBytesPerDay', network),
    ...given('onlyLabels', only),
  };
}

/** What holds, as a person would say it; what the machine's own word made stricter than the mesh's says so. */
export function describePreferences({ holds, device, mesh }: PreferencesHeld): string[] {
  const lines = [`share ${percentText(holds.share ?? shareDefault)}`];
  const names = Object.keys(texts) as (keyof typeof texts)[];
  for (const name of names) {
    if (holds[name] !== undefined) lines.push((texts[name] as (value: unknown) => string)(holds[name]));
  }
  if (holds.hours !== undefined && mesh.hours !== undefined && device.hours !== undefined)
    lines.push(`and also only ${mesh.hours.join(', ')}`);
  const differs = (Object.keys(mesh) as (keyof Preferences)[]).filter(
    (name) => device[name] !== undefined && JSON.stringify(holds[name]) !== JSON.stringify(mesh[name]),
  );
  if (differs.length > 0) lines.push('said on the machine itself, and stricter than what the mesh was told');
  return lines;
}

const texts: {
  readonly [Name in Exclude<keyof Preferences, 'share'>]-?: (value: NonNullable<Preferences[Name]>) => string;
} = {
  mode: (mode) => mode,
  hours: (hours) => `only ${hours.join(', ')}`,
  temperatureMostCelsius: (celsius) => `slower above ${celsius} degrees`,
  batteryLeastShare: (share) => `nothing on battery below ${percentText(share)}`,
  memoryFreeLeastBytes: (bytes) => `keeps ${bytesText(bytes)} of memory`,
  networkMostBytesPerDay: (bytes) => `${bytesText(bytes)} of traffic in 24 hours`,
  onlyLabels: (labels) => `only tasks for ${labels.join(', ')}`,
};

function orAny<T>(parse: (text: string) => T): (text: string) => OrAny<T> {
  return (text) => (text === any ? any : parse(text));
}

/** "0.25" or "25%", 0 to 1. */
export function parseShare(text: string): number {
  const share = /^\d+(\.\d+)?%$/.test(text)
    ? Number.parseFloat(text) / 100
    : /^[01]?(\.\d+)?$/.test(text)
      ? Number(text)
      : Number.NaN;
  if (!(share > 0 && share <= 1)) throw new InvalidArgumentError('give 50% or 0.5: above 0, at most 1.');
  return share;
}

function parseHours(text: string): string[] {
  const hours = text.split(',').map((each) => each.trim());
  const wrong = hours.find((each) => !hoursPattern.test(each));
  if (wrong !== undefined) throw new InvalidArgumentError(`"${wrong}" is not like 22:00-07:00 or Mon-Fri 18:00-08:00.`);
  if (hours.length > limits.hoursPerNode) throw new InvalidArgumentError(`hoursPerNode is ${limits.hoursPerNode}.`);
  return hours;
}

function parseCelsius(text: string): number {
  const celsius = Number(text.trim() === '' ? Number.NaN : text);
  if (!(celsius >= 0 && celsius <= 150)) throw new InvalidArgumentError('give degrees Celsius from 0 to 150.');
  return celsius;
}

const units = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 };

/** Bytes: "500MB", "2GB", "512MiB". */
export function parseSize(text: string): number {
  const [, value, unit] = /^(\d+(?:\.\d+)?) ?([kMGT]?B|[KMGT]iB)$/.exec(text) ?? [];
  if (value === undefined) throw new InvalidArgumentError('it looks like 500MB, 2GB or 512MiB.');
  const bytes = Math.round(Number(value) * units[unit as keyof typeof units]);
  if (!Number.isSafeInteger(bytes)) throw new InvalidArgumentError('that is more than any machine has.');
  return bytes;
}

function parseLabels(text: string): string[] {
  const labels = text.split(',').map((label) => label.trim());
  const wrong = labels.find((label) => !isIdentifier(label));
  if (wrong !== undefined) throw new InvalidArgumentError(`"${wrong}" is no label: use A-Z a-z 0-9 _ -.`);
  if (labels.length > limits.labelsPerNode) throw new InvalidArgumentError(`labelsPerNode is ${limits.labelsPerNode}.`);
  return labels;
}
