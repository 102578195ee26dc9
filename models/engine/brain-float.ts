const single = new Float32Array(1);
const bits = new Uint32Array(single.buffer);

/** The upper half of a number of single precision, rounded (bfloat16): 8 bits of precision, the same range. */
export function toBrainFloat(value: number): number {
  single[0] = value;
  return (bits[0]! + 0x8000) >>> 16;
}

export function fromBrainFloat(half: number): number {
  bits[0] = half << 16;
  return single[0]!;
}
