import { inspect } from 'node:util';
import { blockEnd, countRecords, nextBlock } from '../record-blocks.ts';
import type { Encoding, InputShape } from '../sandbox-engine.ts';
import type { NodeTask, TaskInput, TextOutput } from '../task-api.ts';

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
  { by, needs, parts }: InputShape,
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
    input: inputOf(by ?? 'lines', by === undefined ? new Uint8Array() : slots[0]!),
    needs: values,
    parts: (parts ?? []).map((encoding, index) => readValue(encoding, slots[index]!)),
    parameters,
    progress: (fraction) => voice.progress(Math.min(1, Math.max(0, Number(fraction) || 0))),
    log: (...said) => voice.log(said.map((each) => (typeof each === 'string' ? each : inspect(each))).join(' ')),
    text: (value) => new Text(value) as unknown as TextOutput,
    yield: () => new Promise((resolve) => setImmediate(resolve)),
  };
}

function readValue(encoding: Encoding, bytes: Uint8Array): unknown {
  if (encoding === 'bytes') return bytes;
  const text = decoder.decode(bytes);
  return encoding === 'json' ? JSON.parse(text) : text;
}

function inputOf(by: 'lines' | 'items', bytes: Uint8Array): TaskInput {
  const text = () => decoder.decode(bytes);
  function* records(): Generator<unknown> {
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
    text,
    json: () => JSON.parse(by === 'items' ? `[${text()}]` : text()) as unknown,
    bytes: () => bytes.slice(),
    [Symbol.iterator]: records,
    async *[Symbol.asyncIterator]() {
      yield* records();
    },
  } as TaskInput;
}

/** What the code has given, as bytes. Throws what cannot be JSON. */
export function outputOf(value: unknown): { readonly encoding: Encoding; readonly bytes: Uint8Array } {
  if (value instanceof Text) return { encoding: 'text', bytes: encoder.encode(value.value) };
  if (value instanceof ArrayBuffer) return { encoding: 'bytes', bytes: new Uint8Array(value) };
  if (ArrayBuffer.isView(value)) {
    return { encoding: 'bytes', bytes: new Uint8Array(value.buffer, value.byteOffset, value.byteLength) };
  }
  const json = value === undefined ? 'null' : JSON.stringify(value);
  if (json === undefined) throw new TypeError(`a ${typeof value} has no JSON`);
  return { encoding: 'json', bytes: encoder.encode(json) };
}
