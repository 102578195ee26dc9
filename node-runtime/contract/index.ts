/** The contract: topics, messages, codec, limits, errors. A leaf: it imports nothing of ours. */
export * from './canonical.ts';
export * from './codec.ts';
export * from './connection.ts';
export * from './errors.ts';
export * from './limits.ts';
export * from './messages/blobs.ts';
export * from './messages/control.ts';
export * from './messages/job.ts';
export * from './messages/job-spec.ts';
export * from './messages/node.ts';
export * from './messages/queries.ts';
export * from './messages/raft.ts';
export * from './messages/shared.ts';
export * from './text.ts';
export * from './topics.ts';
export * from './transport.ts';
