import { bytesOfBase64, type DataReference, MeshError, type ResultOutput, textOf } from '../contract/index.ts';

/** The reference of an output that is too large to stand in the result. */
export function blobOf(output: ResultOutput): DataReference | undefined {
  return 'blob' in output ? { blob: output.blob, sizeBytes: output.sizeBytes } : undefined;
}

/** What a program wants: the JSON value, a string, or bytes. `content` is there when the output is a blob. */
export function outputValue(output: ResultOutput, content?: Uint8Array): unknown {
  if ('value' in output) return output.value;
  const bytes = 'base64' in output ? bytesOfBase64(output.base64) : (content ?? new Uint8Array());
  if (output.encoding === 'bytes') return bytes;
  const text = textOf(bytes);
  if (output.encoding === 'text') return text;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new MeshError(
      'MESH_TASK_OUTPUT',
      `the output is not the JSON it is said to be: ${(error as Error).message}`,
      {
        cause: error,
      },
    );
  }
}

/** What a file gets, for an output that stands in the result. */
export function bytesOfInline(output: Exclude<ResultOutput, { blob: string }>): Uint8Array {
  if ('base64' in output) return bytesOfBase64(output.base64);
  return new TextEncoder().encode(output.encoding === 'json' ? JSON.stringify(output.value) : output.value);
}
