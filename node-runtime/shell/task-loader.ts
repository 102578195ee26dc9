import { check, decodeCbor, MeshError, type Assign, type Output, taskInput, type TaskInput } from '../contract/index.ts';
import type { BlobClient } from '../data/index.ts';
import type { EngineInput, EngineRequest, LoadedOutput } from '../engines/index.ts';
import { itemsSlice } from '@foremesh/partitioner';

/** Codes kept in memory between tasks, the most recently used last. */
const codesKept = 16;

/** Brings what an assignment names into memory: code and input, verified. Throws what `BlobClient.get` throws. */
export class TaskLoader {
  readonly #blobs: BlobClient;
  readonly #codes = new Map<string, Promise<Uint8Array>>();

  constructor(blobs: BlobClient) {
    this.#blobs = blobs;
  }

  async load(assign: Assign, signal: AbortSignal): Promise<EngineRequest> {
    const [code, input] = await Promise.all([this.#code(assign, signal), this.#input(assign.input, signal)]);
    return {
      attempt: assign.attempt,
      job: `${assign.account}/${assign.job}`,
      engine: assign.code.engine,
      codeHash: assign.code.blob,
      code,
      input,
      limits: assign.limits,
      ...(assign.parameters === undefined ? {} : { parameters: assign.parameters }),
    };
  }

  #code({ code }: Assign, signal: AbortSignal): Promise<Uint8Array> {
    const kept = this.#codes.get(code.blob);
    // Shared by many tasks: one that is cancelled must not break the fetch for the others.
    const loading = kept ?? this.#blobs.get({ blob: code.blob, sizeBytes: code.sizeBytes });
    this.#codes.delete(code.blob);
    this.#codes.set(code.blob, loading);
    if (kept === undefined) {
      loading.catch(() => this.#codes.delete(code.blob));
      for (const oldest of this.#codes.keys()) {
        if (this.#codes.size <= codesKept) break;
        this.#codes.delete(oldest);
      }
    }
    return abortable(loading, signal);
  }

  async #input(input: TaskInput, signal: AbortSignal): Promise<EngineInput> {
    switch (input.kind) {
      case 'none':
        return { kind: 'none' };
      case 'whole':
        return { kind: 'whole', bytes: await this.#blobs.get(input.source, { signal }) };
      case 'records': {
        const bytes = await this.#blobs.getRange(input.source, input.start, input.end, { signal });
        return { kind: 'records', by: input.by, bytes: input.by === 'items' ? itemsSlice(bytes) : bytes };
      }
      case 'parts':
        return { kind: 'parts', parts: await this.#outputs(input.parts, signal) };
      case 'outputs': {
        const needs: Record<string, LoadedOutput | readonly LoadedOutput[]> = {};
        for (const [stage, output] of Object.entries(input.needs)) {
          needs[stage] = Array.isArray(output) ? await this.#outputs(output, signal) : (await this.#outputs([output], signal))[0]!;
        }
        return { kind: 'outputs', needs };
      }
      case 'spilled': {
        const bytes = await this.#blobs.get(input.description, { signal });
        const inner = check(taskInput, decodeCbor(bytes), 'MESH_MESSAGE_MALFORMED');
        if (inner.kind === 'spilled') throw new MeshError('MESH_MESSAGE_MALFORMED', 'a description that was spilled twice');
        return this.#input(inner, signal);
      }
    }
  }

  #outputs(outputs: readonly Output[], signal: AbortSignal): Promise<LoadedOutput[]> {
    return Promise.all(
      outputs.map(async (output) => ({
        encoding: output.encoding,
        bytes: 'inline' in output ? output.inline : await this.#blobs.get(output, { signal }),
      })),
    );
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
