import * as z from 'zod';

const units = {
  B: 1,
  kB: 1_000,
  KiB: 1024,
  MB: 1_000 ** 2,
  MiB: 1024 ** 2,
  GB: 1_000 ** 3,
  GiB: 1024 ** 3,
} as const;

/** A count of bytes, or a number with a unit: `1MiB`, `500 kB`. */
export const size = z.union([
  z.number().int().min(0),
  z
    .string()
    .regex(/^\d{1,12}(\.\d{1,6})?\s*(B|kB|KiB|MB|MiB|GB|GiB)$/, {
      error: 'must be bytes, or a number with B, kB, KiB, MB, MiB, GB or GiB ("1MiB")',
    })
    .transform(sizeInBytes),
]);

/** Turns "1.5KiB" into 1536; to whole bytes. */
function sizeInBytes(text: string): number {
  const unit = /[A-Za-z]+$/.exec(text)![0] as keyof typeof units;
  return Math.round(Number.parseFloat(text) * units[unit]);
}
