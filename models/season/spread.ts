/** A number within [0, 1) that differs from series to series and is the same for the same values: it spreads rare, dear work. */
export function fractionOf(values: ArrayLike<number>): number {
  let hash = 2_166_136_261;
  for (const byte of new Uint8Array(Float64Array.from(values).buffer)) hash = Math.imul(hash ^ byte, 16_777_619);
  return (hash >>> 0) / 2 ** 32;
}
