/** One text for equal values, whatever class their bytes are of (a `Buffer` would speak for itself). */
export function plainText(value: unknown): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, key: string, each: unknown) {
    const raw = this[key];
    return raw instanceof Uint8Array ? [...raw] : each;
  });
}
