/** Pure functions that cut work and place it. Imports nothing of ours, reads no clock, does no I/O. */
export * from './records/index.ts';
