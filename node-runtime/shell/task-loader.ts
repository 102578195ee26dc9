import { itemsSlice } from '@foremesh/partitioner';
import {
  type Assign,
  check,
  type DataReference,
  decodeCbor,
  limits,
  MeshError,
  type Output,
  type TaskInput,
  taskInput,
} from '../contract/index.ts';
import type { BlobClient } from '../data/index.ts';
import { mapAhead } from '../data/windowed.ts';
import type { EngineInput, EngineRequest, LoadedCommand, LoadedOutput } from '../engines/index.ts';

/** Codes, and small inputs that many tasks read pieces of, that are kept in memory between tasks. */
const codesKept = 16;
const inputsKept = 4;
const filesKept = 8;
/** All of them together. */
const fileBytesKept = 64 * 1024 ** 2;
const outputsAhead = 8;

/** Brings what an assignment names into memory: code and input, verified. Throws what `BlobClient.get` throws. */
export class TaskLoader {
  readonly #blobs: BlobClient;
  /** The most recently used last. */
  readonly #codes = new Map<string, Promise<Uint8Array>>();
  readonly #files = new Map<string, Promise<Uint8Array>>();
  readonly #inputs = new Map<string, Promise<Uint8Array>>();

  constructor(blobs: BlobClient) {
    this.#blobs = blobs;
  }

  async load(assign: Assign, signal: AbortSignal): Promise<EngineRequest> {
    const [code, input, command] = await Promise.all([
      this.#code(assign, signal),
      this.#input(assign.input, signal),
      this.#command(assign.command, signal),
    ]);
    return {
      attempt: assign.attempt,
      job: `${assign.account}/${assign.job}`,
      engine: assign.code.engine,
      codeHash: assign.code.blob,
      code,
      input,
      ...(command === undefined ? {} : { command }),
      limits: assign.limits,
      ...(assign.parameters === undefined ? {} : { parameters: assign.parameters }),
    };
  }

  #code({ code }: Assign, signal: AbortSignal): Promise<Uint8Array> {
    return abortable(this.#kept(this.#codes, codesKept, { blob: code.blob, sizeBytes: code.sizeBytes }), signal);
  }

  /** Files are read and verified once for the tasks that follow each other, as long as they are not many. */
  async #command(command: Assign['command'], signal: AbortSignal): Promise<LoadedCommand | undefined> {
    if (command === undefined) return undefined;
    const { arguments: given, environment, output } = command;
    const files: { path: string; hash: string; bytes: Uint8Array }[] = [];
    for (const [path, reference] of Object.entries(command.files)) {
      const isKept = reference.sizeBytes <= fileBytesKept / filesKept;
      const bytes = isKept
        ? await abortable(this.#kept(this.#files, filesKept, reference), signal)
        : await this.#blobs.get(reference, { signal });
      files.push({ path, hash: reference.blob, bytes });
    }
    return { arguments: given, environment, output, files };
  }

  /** Records of one small blob: read and verified once for all its tasks, not once for each. */
  async #records(source: DataReference, start: number, end: number, signal: AbortSignal): Promise<Uint8Array> {
    if (source.sizeBytes > limits.wholeBlobBytes) return this.#blobs.getRange(source, start, end, { signal });
    const bytes = await abortable(this.#kept(this.#inputs, inputsKept, source), signal);
    if (start <= end && end <= bytes.length) return bytes.subarray(start, end);
    throw new MeshError('MESH_INPUT_INVALID', `[${start}, ${end}) is no range of ${bytes.length} bytes`);
  }

  #kept(among: Map<string, Promise<Uint8Array>>, most: number, reference: DataReference): Promise<Uint8Array> {
    const { blob } = reference;
    const known = among.get(blob);
    // Shared by many tasks: one that is cancelled must not break the fetch for the others.
    const loading = known ?? this.#blobs.get({ blob, sizeBytes: reference.sizeBytes });
    among.delete(blob);
    among.set(blob, loading);
    if (known === undefined) {
      loading.catch(() => among.delete(blob));
      for (const oldest of among.keys()) {
        if (among.size <= most) break;
        among.delete(oldest);
      }
    }
    return loading;
  }

  async #input(input: TaskInput, signal: AbortSignal): Promise<EngineInput> {
    switch (input.kind) {
      case 'none':
        return { kind: 'none' };
      case 'whole':
        return { kind: 'whole', bytes: await this.#blobs.get(input.source, { signal }) };
      case 'records': {
        const bytes = await this.#records(input.source, input.start, input.end, signal);
        const { by, start } = input;
        return { kind: 'records', by, start, bytes: by === 'items' ? itemsSlice(bytes) : bytes };
      }
      case 'parts':
        return { kind: 'parts', parts: await this.#outputs(input.parts, signal) };
      case 'outputs': {
        const needs: [string, LoadedOutput | readonly LoadedOutput[]][] = [];
        for (const [stage, output] of Object.entries(input.needs)) {
          needs.push([
            stage,
            Array.isArray(output) ? await this.#outputs(output, signal) : await this.#output(output, signal),
          ]);
        }
        return { kind: 'outputs', needs: Object.fromEntries(needs) };
      }
      case 'spilled': {
        const bytes = await this.#blobs.get(input.description, { signal });
        const inner = check(taskInput, decodeDescription(bytes), 'MESH_MESSAGE_MALFORMED');
        if (inner.kind === 'spilled')
          throw new MeshError('MESH_MESSAGE_MALFORMED', 'a description that was spilled twice');
        return this.#input(inner, signal);
      }
    }
  }

  async #output(output: Output, signal: AbortSignal): Promise<LoadedOutput> {
    const { encoding } = output;
    return { encoding, bytes: 'inline' in output ? output.inline : await this.#blobs.get(output, { signal }) };
  }

  /** A few at a time: all at once, thousands of parts would drown the connection. */
  async #outputs(outputs: readonly Output[], signal: AbortSignal): Promise<LoadedOutput[]> {
    const loaded: LoadedOutput[] = [];
    for await (const output of mapAhead(outputs, outputsAhead, (each) => this.#output(each, signal)))
      loaded.push(output);
    return loaded;
  }
}

function decodeDescription(bytes: Uint8Array): unknown {
  try {
    return decodeCbor(bytes);
  } catch (error) {
    throw new MeshError('MESH_MESSAGE_MALFORMED', `a spilled description is no CBOR: ${(error as Error).message}`);
  }
}

function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
