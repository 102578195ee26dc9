import { styleText } from 'node:util';
import type { Output } from './io.ts';

export type Tone = 'good' | 'bad' | 'busy' | 'dim' | 'strong';

const formats = { good: 'green', bad: 'red', busy: 'cyan', dim: 'dim', strong: 'bold' } as const;

export type Paint = (tone: Tone, text: string) => string;

export const plain: Paint = (_tone, text) => text;
export const coloured: Paint = (tone, text) => styleText(formats[tone], text, { validateStream: false });

/** Colours only for a person who sees them and has not said no (`--no-color`, https://no-color.org, a dumb terminal). */
export function paintFor(
  output: Output,
  environment: Readonly<Record<string, string | undefined>>,
  wanted: boolean,
): Paint {
  const { NO_COLOR, TERM } = environment;
  return wanted && output.isTTY && (NO_COLOR ?? '') === '' && TERM !== 'dumb' ? coloured : plain;
}
