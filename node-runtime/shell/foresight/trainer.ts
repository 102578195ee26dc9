import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { SeriesWindow } from '@foremesh/models';
import { type ErrorCode, MeshError } from '../../contract/index.ts';
import { entryBeside, type SandboxEntry } from '../../engines/index.ts';
import { stayLeanBeside } from '../lean-heap.ts';
import type { GlobalModelName } from './global-models.ts';

export interface TrainingOptions {
  readonly model?: GlobalModelName;
  /** Values that the model reads, and steps that it predicts. */
  readonly lags?: number;
  readonly steps?: number;
  readonly seed?: number;
  /** Most steps of the LSTM's training. */
  readonly updates?: number;
  /** How much of the most that it takes is done, 0 to 1; it may end earlier. */
  readonly onProgress?: (share: number) => void;
  /** Ends the training: `train` then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Trains global models beside the main thread, which goes on meanwhile. */
export interface Trainer {
  /**
   * Weights of one model for all the series, which must have the same interval (values oldest first, NaN where one is missing): to be kept as a
   * blob and read by `readGlobalModel`. Undefined when the histories are too short. Rejects with `MESH_NOT_INSTALLED` where the model
   * needs a package that is not there.
   */
  train(histories: readonly SeriesWindow[], options?: TrainingOptions): Promise<Uint8Array | undefined>;
}

/** What the thread is told. */
export interface TrainingOrder {
  readonly model: GlobalModelName;
  readonly histories: readonly SeriesWindow[];
  readonly lags: number;
  readonly steps: number;
  readonly seed: number;
  readonly updates: number;
}

/** What it says. */
export type TrainingMessage =
  | { readonly share: number }
  | { readonly bytes: Uint8Array | undefined }
  | { readonly failed: { readonly code: ErrorCode; readonly message: string; readonly mend?: string } };

/** Garbage is collected sooner than V8 would by itself: what is large lies outside of its heap. */
const resourceLimits = { maxYoungGenerationSizeMb: 8 };

const defaults = { model: 'lstm', lags: 48, steps: 30, seed: 1, updates: 600 } as const;

export function createTrainer(program = defaultProgram()): Trainer {
  return { train: (histories, options = {}) => trainIn(program, histories, options) };
}

function defaultProgram(): SandboxEntry {
  const { url } = import.meta;
  if (!url.endsWith('.ts')) return entryBeside(url, 'train-model', 'train-main');
  return { path: fileURLToPath(new URL('./train-source.mjs', url)), nodeArguments: ['--conditions=mesh-source'] };
}

async function trainIn(
  { path, nodeArguments }: SandboxEntry,
  histories: readonly SeriesWindow[],
  { onProgress, signal, ...chosen }: TrainingOptions,
): Promise<Uint8Array | undefined> {
  signal?.throwIfAborted();
  const workerData: TrainingOrder = { ...defaults, ...chosen, histories };
  const worker = new Worker(path, { workerData, execArgv: [...nodeArguments], resourceLimits });
  stayLeanBeside(worker);
  let abort = () => {};
  try {
    return await new Promise((resolve, reject) => {
      abort = () => reject(signal!.reason);
      signal?.addEventListener('abort', abort);
      worker.on('message', (message: TrainingMessage) => {
        if ('share' in message) onProgress?.(message.share);
        else if ('bytes' in message) resolve(message.bytes);
        else reject(new MeshError(message.failed.code, message.failed.message, message.failed));
      });
      worker.once('error', reject);
      worker.once('exit', (code) => reject(new Error(`the thread that trains ended with ${code} and without a word`)));
    });
  } finally {
    signal?.removeEventListener('abort', abort);
    await worker.terminate();
  }
}
