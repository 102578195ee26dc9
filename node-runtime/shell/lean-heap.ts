import { setFlagsFromString } from 'node:v8';
import type { Worker } from 'node:worker_threads';

/** How much more than what lives in it the heap may hold before its garbage is collected, per cent. V8 by itself lets it grow to up to four times as much. */
const garbagePercent = 25;

let isLean = false;

/**
 * For the process of a node, once its code is loaded: memory is what a device has least of, and what a leader of many nodes makes is mostly garbage. The young generation stays as large
 * as it is by then (8 MiB; it grows to 32 else), and the old one is collected sooner. V8 reads both flags each time that it would let a generation grow.
 */
export function keepHeapLean(): void {
  isLean = true;
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString(`--heap-growing-percent=${garbagePercent}`);
}

/** V8 sets the first flag back whenever it makes a heap, as it does for each thread: called with every thread that is started. */
export function stayLeanBeside(thread: Worker): void {
  if (isLean) thread.once('online', keepHeapLean);
}
