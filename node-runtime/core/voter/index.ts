export type { VoterEffect, VoterEvent, VoterSnapshot } from './events.ts';
export { isHeard, knownChain, knownKeyOf } from './members.ts';
export { RaftWire, readRaftEnvelope } from './raft-wire.ts';
export { votersDefault, wantedVoters } from './seats.ts';
export { createVoter, type VoterOptions, type VoterRestored, type VoterState, voterDueMs } from './state.ts';
export { stepVoter } from './step.ts';
export { validateVoter } from './validate.ts';
export { describeRemoval, describeVoters, settingsWith } from './views.ts';
