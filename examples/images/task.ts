import type { InputFile, Task } from '@foremesh/node-runtime/task';
import { decodeImage, edgesOf, encodeImage, thumbnailOf, tilesOf } from './images.ts';

interface Parameters {
  /** Pixels of a thumbnail's width, and of a tile's sides. */
  readonly thumbnail: number;
  readonly tile: number;
}

/** What one image becomes, by file name: the strength of its edges, a thumbnail, and tiles. */
export function filesOf(name: string, bytes: Uint8Array, { thumbnail, tile }: Parameters): Record<string, Uint8Array> {
  const image = decodeImage(bytes);
  const base = name.replace(/^.*\//, '').replace(/\.[a-z]+$/, '');
  const files: Record<string, Uint8Array> = {
    [`edges/${base}.pgm`]: encodeImage(edgesOf(image)),
    [`thumbnails/${base}.pgm`]: encodeImage(thumbnailOf(image, thumbnail)),
  };
  for (const { x, y, tile: cut } of tilesOf(image, tile)) files[`tiles/${base}-${x}-${y}.pgm`] = encodeImage(cut);
  return files;
}

export default function task({ input, parameters, progress, files }: Task<Parameters>): Uint8Array {
  const given: Record<string, Uint8Array> = {};
  let done = 0;
  for (const { name, bytes } of named(input)) {
    Object.assign(given, filesOf(name, bytes, parameters));
    done += 1;
    progress(done / input.length);
  }
  return files(given);
}

function* named(input: Iterable<InputFile>): Generator<{ name: string; bytes: Uint8Array }> {
  for (const file of input) yield { name: file.name, bytes: file.bytes() };
}
