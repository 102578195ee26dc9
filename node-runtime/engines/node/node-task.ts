import { inspect } from 'node:util';
import { tarFiles, tarHeader } from '@foremesh/partitioner';
import type { SplitBy } from '../../contract/index.ts';
import { blockEnd, countRecords, nextBlock } from '../record-blocks.ts';
import type { Encoding, InputShape } from '../sandbox-engine.ts';
import type { InputFile, NodeTask, TaskInput, TextOutput } from '../task-api.ts';

/** What the process says about the task. */
export interface TaskVoice {
  progress(fraction: number): void;
  log(text: string): void;
}

class Text {
  readonly value: string;
  constructor(value: unknown) {
    this.value = String(value);
  }
}

// A byte order mark is content like any other.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const encoder = new TextEncoder();

/** The task as its code sees it: the same as in engine `js`, and `yield`. */
export function makeTask(
  { by, start, needs, parts }: InputShape,
  slots: readonly Uint8Array[],
  parameters: unknown,
  voice: TaskVoice,
): NodeTask {
  const values: Record<string, unknown> = {};
  let next = 0;
  for (const [stage, encodings] of Object.entries(needs ?? {})) {
    values[stage] =
      typeof encodings === 'string'
        ? readValue(encodings, slots[next++]!)
        : encodings.map((encoding) => readValue(encoding, slots[next++]!));
  }
  return {
    input: inputOf(by ?? 'lines', by === undefined ? new Uint8Array() : slots[0]!, start ?? 0),
    needs: values,
    parts: (parts ?? []).map((encoding, index) => readValue(encoding, slots[index]!)),
    parameters,
    progress: (fraction) => voice.progress(Math.min(1, Math.max(0, Number(fraction) || 0))),
    log: (...said) => voice.log(said.map((each) => (typeof each === 'string' ? each : inspect(each))).join(' ')),
    text: (value) => new Text(value) as unknown as TextOutput,
    files: archiveOf,
    yield: () => new Promise((resolve) => setImmediate(resolve)),
  };
}

function readValue(encoding: Encoding, bytes: Uint8Array): unknown {
  if (encoding === 'bytes') return bytes;
  const text = decoder.decode(bytes);
  return encoding === 'json' ? JSON.parse(text) : text;
}

function inputOf(by: SplitBy, bytes: Uint8Array, start: number): TaskInput {
  const text = () => decoder.decode(bytes);
  function* records(): Generator<unknown> {
    if (by === 'bytes' && bytes.length > 0) yield bytes.slice();
    if (by === 'files') for (const file of tarFiles(bytes)) yield fileOf(file, bytes);
    if (by === 'bytes' || by === 'files') return;
    let at = 0;
    while (at < bytes.length) {
      const end = blockEnd(bytes, by, at);
      const block = decoder.decode(bytes.subarray(at, end));
      if (by === 'items') yield* JSON.parse(`[${block}]`) as unknown[];
      else yield* block.replace(/(\r\n|\n|\r)$/, '').split(/\r\n|\n|\r/);
      at = nextBlock(bytes, by, end);
    }
  }
  return {
    get length() {
      return countRecords(bytes, by);
    },
    sizeBytes: bytes.length,
    start,
    text,
    json: () => JSON.parse(by === 'items' ? `[${text()}]` : text()) as unknown,
    bytes: () => bytes.slice(),
    [Symbol.iterator]: records,
    async *[Symbol.asyncIterator]() {
      yield* records();
    },
  } as TaskInput;
}

function fileOf(
  { name, start, sizeBytes }: { name: string; start: number; sizeBytes: number },
  all: Uint8Array,
): InputFile {
  const bytes = () => all.slice(start, start + sizeBytes);
  const text = () => decoder.decode(bytes());
  return { name, sizeBytes, bytes, text, json: () => JSON.parse(text()) as unknown };
}

const blockBytes = 512;

/** An archive of tar without its end, so that archives one after the other are one. */
function archiveOf(contents: Parameters<NodeTask['files']>[0]): Uint8Array {
  const parts = Object.entries(contents).flatMap(([name, content]) => {
    const bytes = bytesOfContent(content, name);
    const padding = new Uint8Array((blockBytes - (bytes.length % blockBytes)) % blockBytes);
    return [headerOf(name, bytes.length), bytes, padding];
  });
  return new Uint8Array(Buffer.concat(parts));
}

function headerOf(name: string, sizeBytes: number): Uint8Array {
  try {
    return tarHeader(name, sizeBytes);
  } catch (error) {
    throw new TypeError((error as RangeError).message);
  }
}

function bytesOfContent(content: unknown, name: string): Uint8Array {
  if (typeof content === 'string') return encoder.encode(content);
  if (content instanceof ArrayBuffer) return new Uint8Array(content);
  if (ArrayBuffer.isView(content)) return new Uint8Array(content.buffer, content.byteOffset, content.byteLength);
  throw new TypeError(`the content of the file "${name}" must be a string or bytes`);
}

/** What the code has given, as bytes. Throws what cannot be JSON. */
export function outputOf(value: unknown): { readonly encoding: Encoding; readonly bytes: Uint8Array } {
  if (value instanceof Text) return { encoding: 'text', bytes: encoder.encode(value.value) };
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value))
    return { encoding: 'bytes', bytes: bytesOfContent(value, '') };
  const json = value === undefined ? 'null' : JSON.stringify(value);
  if (json === undefined) throw new TypeError(`a ${typeof value} has no JSON`);
  return { encoding: 'json', bytes: encoder.encode(json) };
}
