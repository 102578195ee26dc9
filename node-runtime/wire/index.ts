/** How state machines speak over a connection, and when. The clock, the connection, keys and hashes are given: the simulator says what a mesh says. */
export { type LeaderClaim, LeaderVoice, type LeaderVoiceOptions, type SpokenEffect } from './leader-voice.ts';
export { nodeOutbox } from './node-outbox.ts';
export { Outbox, type OutboxOptions } from './outbox.ts';
export type { Publish, Published } from './retained-values.ts';
export { SnapshotExchange, type SnapshotExchangeOptions } from './snapshot-exchange.ts';
export type { Timer, Timers } from './timers.ts';
export { VoterSpeech, type VoterSpeechOptions } from './voter-speech.ts';
