/**
 * The built-in merges: code of engine `js` like any other. `array` gives the parts as one array. `concat` joins bytes with
 * bytes, arrays with arrays, and text or strings with each other (no parts: empty text).
 */
export const builtinMergeCode = {
  array: 'export default (task) => task.parts;\n',
  concat: `export default (task) => {
  const { parts } = task;
  if (parts.length > 0 && parts.every((part) => part instanceof Uint8Array)) {
    const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }
  if (parts.length > 0 && parts.every(Array.isArray)) return parts.flat();
  const odd = parts.findIndex((part) => typeof part !== 'string');
  if (odd >= 0) {
    throw new TypeError('merge "concat" joins strings, or bytes, or arrays, all of one kind; part ' + odd + ' does not fit');
  }
  return task.text(parts.join(''));
};
`,
} as const;

export type BuiltinMerge = keyof typeof builtinMergeCode;
