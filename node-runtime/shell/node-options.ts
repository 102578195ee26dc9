import type { Logger } from 'pino';
import type { MeshError, PreferencesChange } from '../contract/index.ts';
import type { LearningOptions } from './foresight/model-keeper.ts';
import type { Home } from './home.ts';
import type { Membership } from './joining/membership.ts';
import type { NodeConnection } from './joining/standing.ts';

/** What a leader plans by: what it forecasts, or what is measured now, as if it stayed so. */
export const policyNames = ['predictive', 'reactive'] as const;
export type PolicyName = (typeof policyNames)[number];

/** What `foremesh node` says to the runtime of a device. */
export interface NodeOptions {
  readonly home: Home;
  readonly connection: NodeConnection;
  /** What joining has left. */
  readonly membership?: Membership;
  /** Taken at the first start; later starts keep the id that the home has. */
  readonly name?: string;
  /** What its owner says at this start; it is kept in the home. */
  readonly preferences?: PreferencesChange;
  /** Attempts at once; by default one per core of the share. */
  readonly slots?: number;
  /** Below which folder temperature and battery are read, as Linux has them: `/`. */
  readonly sensors?: string;
  readonly labels?: readonly string[];
  /** What of the machine this node measures and may use: `cgroup:NAME` or `cpus:LIST`. This very process is put there. */
  readonly deviceScope?: string;
  readonly mayLead?: boolean;
  /** What it plans by while it leads: `predictive` unless said. */
  readonly policy?: PolicyName;
  /** Tasks of engine `node` run without walls where the system has none. */
  readonly unsandboxed?: boolean;
  readonly cacheBytes?: number;
  /** Where what comes into the decisions of this node is recorded, should it vote: see `Journal`. */
  readonly journalDirectory?: string;
  /** How far apart the samples are that are published and kept: five seconds, for tests less. */
  readonly sampleIntervalMs?: number;
  /** How it trains models while it leads; for tests. */
  readonly learning?: LearningOptions;
  readonly log: Logger;
}

export interface RunningNode {
  readonly node: string;
  /** Whether it leads now, as far as it knows. */
  readonly leads: boolean;
  /** Resolves when the node is online for the first time. */
  readonly online: Promise<void>;
  /** Resolves when the node cannot go on by itself, with the reason. */
  readonly failed: Promise<MeshError>;
  stop(): Promise<void>;
}
