import type { AccountQuota, NodeKey, VotersLink } from '../contract/index.ts';
import { jobKeyOf } from './job-plan.ts';
import type { Ledger, LedgerJob, LedgerStage, Tombstone } from './ledger.ts';
import type { VoterSettings } from './ledger-commands.ts';
import type { LedgerModel } from './ledger-models.ts';
import { type LedgerProfile, profileKeyOf } from './ledger-profiles.ts';
import type { LedgerRetention } from './ledger-retention.ts';

/** A snapshot: plain data, CBOR- and JSON-able, from which `restoreLedger` makes the same ledger. */
export function snapshotLedger(ledger: Ledger): unknown {
  return {
    nodes: [...ledger.nodes].map(([node, { publicKey }]) => ({ node, publicKey })),
    removed: [...ledger.removed].map(([publicKey, node]) => ({ node, publicKey })),
    votersChain: ledger.votersChain,
    quotas: [...ledger.quotas].map(([account, quota]) => ({ account, quota })),
    jobs: [...ledger.jobs.values()].map((job) => ({ ...job, stages: [...job.stages.values()] })),
    ended: ledger.ended,
    endedTasks: ledger.endedTasks,
    ageMs: ledger.ageMs,
    tombstones: [...ledger.tombstones.values()],
    profiles: [...ledger.profiles.values()],
    learnedTasks: ledger.learnedTasks,
    models: [...ledger.models.values()],
    retain: ledger.retain,
    ...(ledger.voters === undefined ? {} : { voters: ledger.voters }),
  };
}

export function restoreLedger(snapshot: unknown): Ledger {
  type Plain = Omit<LedgerJob, 'stages'> & { stages: LedgerStage[] };
  const {
    nodes,
    removed = [],
    votersChain,
    quotas = [],
    jobs,
    ended,
    endedTasks,
    ageMs = 0,
    tombstones,
    profiles = [],
    learnedTasks = 0,
    models = [],
    retain,
    voters,
  } = snapshot as {
    nodes: NodeKey[];
    /** Absent in what an older release wrote, like `quotas`, `ageMs`, the profiles and the models. */
    removed?: NodeKey[];
    votersChain: VotersLink[];
    quotas?: { account: string; quota: AccountQuota }[];
    jobs: Plain[];
    ended: string[];
    endedTasks: number;
    ageMs?: number;
    tombstones: Tombstone[];
    profiles?: LedgerProfile[];
    learnedTasks?: number;
    models?: LedgerModel[];
    retain: LedgerRetention;
    voters?: VoterSettings;
  };
  return {
    nodes: new Map(nodes.map(({ node, publicKey }) => [node, { publicKey }])),
    removed: new Map(removed.map(({ node, publicKey }) => [publicKey, node])),
    votersChain,
    quotas: new Map(quotas.map(({ account, quota }) => [account, quota])),
    ...(voters === undefined ? {} : { voters }),
    jobs: new Map(
      jobs.map((job) => [
        jobKeyOf(job.account, job.job),
        { ...job, stages: new Map(job.stages.map((stage) => [stage.stage, stage])) },
      ]),
    ),
    ended,
    endedTasks,
    ageMs,
    tombstones: new Map(tombstones.map((each) => [each.key, each])),
    profiles: new Map(profiles.map((each) => [profileKeyOf({ engine: each.engine, blob: each.code }), each])),
    learnedTasks,
    models: new Map(models.map((each) => [each.kind, each])),
    retain,
  };
}
