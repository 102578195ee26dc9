import { agentMutants } from './agent.ts';
import { ledgerMutants } from './ledger.ts';
import type { Mutant } from './mutant.ts';
import { plannerMutants } from './planner.ts';
import { raftMutants } from './raft.ts';
import { scheduleMutants } from './schedules.ts';
import { trustMutants } from './trust.ts';
import { voterMutants } from './voters.ts';

export type { Mutant } from './mutant.ts';

export const mutants: readonly Mutant[] = [
  ...raftMutants,
  ...voterMutants,
  ...trustMutants,
  ...ledgerMutants,
  ...agentMutants,
  ...plannerMutants,
  ...scheduleMutants,
];
