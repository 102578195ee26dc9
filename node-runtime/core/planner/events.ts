import type {
  DataReference,
  ForecastResource,
  InboxMessage,
  JobResult,
  JobState,
  LeaderHint,
  MeshEvent,
  NodeForecast,
  NodeMetrics,
  NodeStatus,
  OutboxMessage,
  Output,
  Problem,
  RecordIndex,
  SplitBy,
} from '../../contract/index.ts';
import type { JobPlan } from '../job-plan.ts';
import type { LedgerCommand, LedgerEvent } from '../ledger-commands.ts';

interface OfJob {
  readonly account: string;
  readonly job: string;
}

/** What happened, as the driver tells it. Every event comes with the time: see `stepPlanner`. */
export type PlannerEvent =
  | { readonly type: 'elected'; readonly term: number }
  /** Another leads, or nobody: what is not in the log is forgotten. */
  | { readonly type: 'deposed' }
  /** Somebody needs to hear again who leads. */
  | { readonly type: 'asked-who-leads' }
  | { readonly type: 'connected' }
  | { readonly type: 'disconnected' }
  /** A spec whose code and input are durable. */
  | (OfJob & { readonly type: 'submitted'; readonly specHash: string; readonly plan: JobPlan })
  | (OfJob & { readonly type: 'cancel-requested'; readonly reason: string })
  /** The log has committed more; the ledger has it already. */
  | { readonly type: 'applied'; readonly events: readonly LedgerEvent[] }
  | (OfJob & {
      readonly type: 'indexed';
      readonly stage: string;
      readonly source: DataReference;
      readonly index: RecordIndex;
    })
  | (OfJob & { readonly type: 'index-failed'; readonly stage: string; readonly problem: Problem })
  /** A model was trained for the series of a kind, and its weights are durable: the log is to name them. */
  | {
      readonly type: 'model-trained';
      readonly kind: ForecastResource;
      readonly model: string;
      readonly weights: DataReference;
      readonly trainedOn: { readonly series: number; readonly windows: number };
    }
  /** The weights that the log names for this kind: from now on their model is asked. */
  | { readonly type: 'model-read'; readonly kind: ForecastResource; readonly weights: Uint8Array }
  | { readonly type: 'node-status'; readonly status: NodeStatus }
  | { readonly type: 'node-metrics'; readonly metrics: NodeMetrics }
  | {
      readonly type: 'node-reported';
      readonly node: string;
      readonly bootId: string;
      readonly messages: readonly OutboxMessage[];
    }
  /** There is time for a piece of what waits to be learned (`hasMoreToLearn`). */
  | { readonly type: 'study' }
  | { readonly type: 'tick' };

/** A hint without what shows that it is true: votes and signatures are the driver's. */
export type Announcement = Omit<LeaderHint, 'v' | 'publicKey' | 'proof' | 'chain'>;

/** What the driver is to do, in this order. */
export type PlannerEffect =
  | { readonly type: 'propose'; readonly commands: readonly LedgerCommand[] }
  | { readonly type: 'send'; readonly node: string; readonly message: InboxMessage }
  | { readonly type: 'announce'; readonly hint: Announcement }
  /** Retained, except a refusal, which must not hide the state of the job that holds the id. */
  | { readonly type: 'publish-state'; readonly state: JobState }
  | { readonly type: 'publish-result'; readonly result: JobResult }
  /** Clear a retained spec: it is in the log (or refused). */
  | (OfJob & { readonly type: 'clear-spec' })
  /** Clear the retained state and result of a job that the ledger has forgotten. */
  | (OfJob & { readonly type: 'clear-job' })
  /** Clear the retained status of a node that was removed. */
  | { readonly type: 'clear-status'; readonly node: string }
  /** Retained. */
  | { readonly type: 'publish-forecast'; readonly forecast: NodeForecast }
  | { readonly type: 'clear-forecast'; readonly node: string }
  /** Ask a holder where records begin; an inline source is put in a holder first. Answer: `indexed` or `index-failed`. */
  | (OfJob & {
      readonly type: 'index';
      readonly stage: string;
      readonly source: Output | DataReference;
      readonly by: SplitBy;
      /** By bytes: of one block; nobody has to be asked. */
      readonly blockBytes?: number;
    })
  | { readonly type: 'event'; readonly event: Omit<MeshEvent, 'v' | 'source'> };
