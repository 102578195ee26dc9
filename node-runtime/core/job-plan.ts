import type { CostWeights } from '@foremesh/partitioner';
import type {
  CodeReference,
  Command,
  DataReference,
  Matrix,
  Schedule,
  SplitBy,
  TaskLimits,
} from '../contract/index.ts';

/** A stage as the ledger keeps it: everything by reference, every default filled in. */
export interface StagePlan {
  readonly stage: string;
  readonly code: CodeReference;
  readonly input?: DataReference;
  readonly needs: readonly string[];
  /** `blockBytes` goes with `by: bytes`. */
  readonly split?: { readonly by: SplitBy; readonly chunks?: number; readonly blockBytes?: number };
  /** A task for every combination of these values. A stage has `split` or `matrix`, or neither. */
  readonly matrix?: Matrix;
  /** The code that makes one output of the parts; present on every stage of parts whose output is the job's. */
  readonly merge?: CodeReference;
  readonly parameters?: unknown;
  /** What code and merge are told where they are programs. */
  readonly command?: Command;
  readonly profile?: string;
  readonly priority: number;
  readonly estimateSeconds?: number;
  readonly retries: number;
  readonly limits: TaskLimits;
  readonly labels: readonly string[];
  /** No other stage needs it: its output is a result of the job. */
  readonly sink: boolean;
}

/** Whether the stage has parts, however few: its output is one only when something merges them. */
export function hasParts({ split, matrix }: { readonly split?: unknown; readonly matrix?: unknown }): boolean {
  return split !== undefined || matrix !== undefined;
}

/** A job as the ledger keeps it; stages stand in an order in which every stage comes after those it needs. */
export interface JobPlan {
  readonly name?: string;
  readonly stages: readonly StagePlan[];
  /** It is not run itself: each occurrence is a job of its own. */
  readonly schedule?: Schedule;
  /** By when it should have ended: so long after it was accepted, or milliseconds since 1970. */
  readonly deadline?: ({ readonly withinMs: number } | { readonly atMs: number }) & { readonly confidence?: number };
  /** What of a placement's cost counts how much; the leader's unless said. */
  readonly weights?: CostWeights;
  /** How long it is kept once it has ended; `retentionMsDefault` unless said. */
  readonly retentionMs?: number;
}

/** `<account>/<job>` */
export function jobKeyOf(account: string, job: string): string {
  return `${account}/${job}`;
}

/** `<account>/<job>/<task>` */
export function taskKeyOf(account: string, job: string, task: string): string {
  return `${account}/${job}/${task}`;
}
