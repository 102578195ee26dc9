import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeImage, sampleImage } from './images.ts';

/** Writes images to try the job with: `generate.ts [FOLDER] [COUNT]`. */
export function generate(folder: string, count: number): void {
  mkdirSync(folder, { recursive: true });
  for (let number = 0; number < count; number += 1) {
    writeFileSync(join(folder, `image-${number}.pgm`), encodeImage(sampleImage(number)));
  }
}

if (process.argv[1] === import.meta.filename) generate(process.argv[2] ?? 'photos', Number(process.argv[3] ?? 12));
