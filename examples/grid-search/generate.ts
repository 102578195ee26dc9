import { writeFileSync } from 'node:fs';

/** Two kinds of samples that overlap, from a fixed seed (a linear congruential generator, Numerical Recipes). */
export function samplesText(count = 240): string {
  let state = 42;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const bell = () => random() + random() + random() - 1.5;
  const lines = Array.from({ length: count }, () => {
    const label = random() < 0.5 ? 1 : 0;
    const features = [bell() + label * 0.6, bell() - label * 0.4, bell()];
    return [label, ...features.map((value) => value.toFixed(3))].join(',');
  });
  return `${lines.join('\n')}\n`;
}

if (process.argv[1] === import.meta.filename) {
  writeFileSync(new URL('samples.csv', import.meta.url), samplesText());
}
