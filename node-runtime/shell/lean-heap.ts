import { setFlagsFromString } from 'node:v8';

/** How much more than what lives in it the heap may hold before its garbage is collected, per cent. V8 by itself lets it grow to up to four times as much. */
const garbagePercent = 25;

/**
 * For the process of a node, once its code is loaded: memory is what a device has least of, and what a leader of many nodes makes is mostly garbage. The young generation stays as large
 * as it is by then (8 MiB; it grows to 32 else), and the old one is collected sooner. V8 reads both flags each time that it would let a generation grow.
 */
export function keepHeapLean(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString(`--heap-growing-percent=${garbagePercent}`);
}
