import { type Address, addressText } from '../contract/index.ts';

export { editDistance, nearest } from '../contract/index.ts';

/** `850 ms`, `4.2 s`, `41 s`, `3 min 20 s`, `2 h 5 min`: two units at most, as a person would say it. */
export function durationText(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 9_950) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 === 0 ? `${minutes} min` : `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
}

/** `14:02:31`, and the day where it is another. */
export function timeOfDay(atMs: number, nowMs: number): string {
  const at = new Date(atMs);
  const time = `${hourOfDay(atMs)}:${twoDigits(at.getSeconds())}`;
  if (at.toDateString() === new Date(nowMs).toDateString()) return time;
  return `${at.getFullYear()}-${twoDigits(at.getMonth() + 1)}-${twoDigits(at.getDate())} ${time}`;
}

/** `14:02` */
export function hourOfDay(atMs: number): string {
  const at = new Date(atMs);
  return `${twoDigits(at.getHours())}:${twoDigits(at.getMinutes())}`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}

/** `912 B`, `4.2 MB`: decimal, as files and links are measured. */
export function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function percentText(fraction: number): string {
  // Never 100 % before the end: the last task is not done yet.
  return `${fraction >= 1 ? 100 : Math.min(99, Math.floor(fraction * 100))} %`;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}

/** Makes control characters from elsewhere (a node's log, an error message) harmless on a terminal. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '\ufffd');
}

/** The first line of a text from elsewhere, with nothing in it that moves the cursor. */
export function oneLine(text: string): string {
  return printable(text.split('\n')[0]!.replaceAll('\t', ' '));
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
const escapeSequence = /\u001b\[[0-9;]*m/g;
const wide =
  /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u;
const without = /\p{M}|\u200b/u;

/** Cells that a text takes on a terminal, escape sequences not counted. */
export function widthOf(text: string): number {
  const bare = text.replace(escapeSequence, '');
  if (/^[\x20-\x7e]*$/.test(bare)) return bare.length;
  let width = 0;
  for (const character of bare) width += wide.test(character) ? 2 : without.test(character) ? 0 : 1;
  return width;
}

/** Told when `join` goes on by what mDNS says. */
export function foundByMdns(places: readonly Address[]): string {
  const at = places.map(addressText).join(', ');
  return `* the addresses in the invitation did not answer; found the mesh at ${at} by mDNS`;
}
