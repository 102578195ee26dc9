/** The pure state machines: events in, effects out; no clock, no random source, no I/O. */
export * from './agent.ts';
export * from './clone-watch.ts';
export * from './job-plan.ts';
export * from './ledger.ts';
export { lateBlobOf, lateLogOf, unneededBlobs } from './ledger-blobs.ts';
export * from './ledger-commands.ts';
export { isWhole, mergeName, partName, partsOf } from './ledger-cuts.ts';
export { admissionProblem, votersToCertify } from './ledger-members.ts';
export type { LedgerRetention } from './ledger-retention.ts';
export { occurrenceId } from './ledger-schedules.ts';
export { restoreLedger, snapshotLedger } from './ledger-snapshot.ts';
export * from './ledger-validate.ts';
export * from './owner/index.ts';
export * from './planner/index.ts';
export * from './raft/index.ts';
export * from './task-states.ts';
export * from './trust.ts';
export * from './voter/index.ts';
