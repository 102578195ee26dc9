/** The Foremesh broker: Aedes with its traps closed, accounts, a durable store, and the blobs of its meshes. */
export { createAccount } from './account-file.ts';
export { brokerHolder } from './blob-service.ts';
export { type BrokerLimits, brokerLimits } from './limits.ts';
export type { Log } from './log.ts';
export type { BrokerOptions } from './options.ts';
export { type BrokerStatistics, type RunningBroker, startBroker } from './server.ts';
