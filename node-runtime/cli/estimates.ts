import type { TaskEstimate, UnknownCategory } from '../contract/index.ts';
import { bytesText, durationText, plural } from './text.ts';

type Quantity = NonNullable<TaskEstimate['workSeconds']>;

/** `about 4.2 s of a Raspberry Pi 4's core (80 %: 2.1 s to 8.0 s), 34 MB of memory; by 25 tasks of this code`. */
export function estimateText(estimate: TaskEstimate): string {
  const { workSeconds, peakMemoryBytes } = estimate;
  const parts = [
    ...(workSeconds === undefined ? [] : [`${withBand(workSeconds, secondsText, " of a Raspberry Pi 4's core")}`]),
    ...(peakMemoryBytes === undefined ? [] : [`${bytesText(peakMemoryBytes.q50)} of memory`]),
  ];
  return `about ${parts.join(', ')}; ${restsText(estimate)}`;
}

/** Said of an estimate for an input of another size than was seen. */
export const guessText = 'how it grows with its input is a guess';

/** What an estimate rests on most, and whether that was of inputs of such a size. */
export function restsText(estimate: TaskEstimate): string {
  const isGuess = estimate.workSeconds?.growth === 'guessed';
  return basisText(estimate) + (isGuess ? `; ${guessText}` : '');
}

/** What an estimate rests on most. */
export function basisText({ basis, evidence }: Pick<TaskEstimate, 'basis' | 'evidence'>): string {
  const { tasks, categoryCodes, codes } = evidence;
  const seen = tasks === 0 ? '' : `, and ${plural(tasks, 'task')} of its own`;
  switch (basis) {
    case 'own':
      return `by ${plural(tasks, 'task')} of this code`;
    case 'category':
      return `by ${plural(categoryCodes, 'other code')} of its category${seen}`;
    case 'all':
      return `by ${plural(codes, 'other code')}, of any category${seen}`;
    case 'none':
      return 'unknown: nothing of its engine has finished yet';
  }
}

/** `no other code has the profile "data-analysi", it is taken for "data-analysis"; known: data-analysis, images`. */
export function unknownCategoryText({ name, startsFrom, known }: UnknownCategory): string {
  const meant = startsFrom === undefined ? 'and none is near' : `it is taken for "${startsFrom}"`;
  return `no other code has the profile "${name}", ${meant}; known: ${known.join(', ')}`;
}

/** `4.2 s (80 %: 2.1 s to 8.0 s)`. */
function withBand({ q10, q50, q90 }: Quantity, text: (value: number) => string, of = ''): string {
  return `${text(q50)}${of} (80 %: ${text(q10)} to ${text(q90)})`;
}

export function secondsText(seconds: number): string {
  const ms = seconds * 1_000;
  return ms < 10 ? `${Number(ms.toPrecision(2))} ms` : durationText(ms);
}
