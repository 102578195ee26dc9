import { lastValue, predictTasks } from '@foremesh/models';
import type {
  DataReference,
  NodeStatus,
  OutboxMessage,
  Output,
  RecordIndex,
  Usage,
} from '@foremesh/node-runtime/contract';
import {
  applyCommand,
  createLedger,
  createPlanner,
  foresightBy,
  type JobPlan,
  type LedgerCommand,
  type PlannerConfig,
  type PlannerEffect,
  type PlannerEvent,
  type PlannerPolicy,
  type PlannerState,
  type StagePlan,
  stepPlanner,
  validateLedger,
  validatePlanner,
} from '@foremesh/node-runtime/core';
import { standardPlanning } from '@foremesh/partitioner';
import { occurrencesOf } from '@foremesh/partitioner/occurrences';
import { code, mergeCode, stagePlan } from '../../../simulations/scenario/virtual-jobs.ts';

export { code, mergeCode, stagePlan };

export function blobNamed(digit: string, sizeBytes = 100): DataReference {
  return { blob: `sha256-${digit.repeat(64).slice(0, 64)}`, sizeBytes };
}

export const usage: Usage = { cpuMs: 10, wallMs: 20, peakMemoryBytes: 1_000, inputBytes: 1, outputBytes: 1 };

/** A stage that cuts its input into `chunks` and merges the parts. */
export function splitStage(stage: string, chunks: number, change: Partial<StagePlan> = {}): StagePlan {
  return stagePlan(stage, { input: blobNamed('a'), split: { by: 'lines', chunks }, merge: mergeCode, ...change });
}

export function planOf(...stages: StagePlan[]): JobPlan {
  return { stages };
}

export function nodeStatus(node: string, change: Partial<NodeStatus> = {}): NodeStatus {
  return {
    v: 1,
    node,
    bootId: `${node}-1`,
    seq: 1,
    online: true,
    release: '0.1.0',
    arch: 'x64',
    platform: 'linux',
    cores: 2,
    memoryBytes: 1024 ** 3,
    engines: ['js'],
    speed: { js: 1 },
    labels: [],
    share: 1,
    slots: 2,
    queue: 2,
    offeredMemoryBytes: 64 * 1024 ** 2,
    mayLead: false,
    publicKey: 'A'.repeat(43),
    admission: 'A'.repeat(43),
    ...change,
  };
}

/** An index of one mark per record, ten bytes each. */
export function recordIndex(totalRecords: number): RecordIndex {
  const records = Array.from({ length: totalRecords }, (_, record) => record);
  return {
    by: 'lines',
    totalRecords,
    endOffset: totalRecords * 10,
    records,
    offsets: records.map((record) => record * 10),
  };
}

export function json(value: unknown): Output {
  return { encoding: 'json', inline: new TextEncoder().encode(JSON.stringify(value)) };
}

export const policy: PlannerPolicy = {
  createForesight: () => foresightBy(lastValue),
  predictTasks,
  ...standardPlanning,
  looksAhead: true,
  occurrences: occurrencesOf,
};

/** A leader on a log that commits at once: what it proposes is applied, in one batch, before `step` returns. */
export class Leader {
  readonly planner: PlannerState;
  nowMs = 0;
  /** What the wall clock was when `nowMs` was 0. */
  wallStartMs = 1_000_000;
  /** Commands wait in `proposed` until `commit`. */
  holds = false;
  readonly proposed: LedgerCommand[] = [];

  constructor(
    config: Partial<PlannerConfig> = {},
    ledger = createLedger(),
    term = 1,
    change: Partial<PlannerPolicy> = {},
  ) {
    const options = { id: 'ada', bootId: `ada-${term}`, holders: ['ada'], ledger, config };
    this.planner = createPlanner({ ...options, policy: { ...policy, ...change } });
  }

  get wallMs(): number {
    return this.wallStartMs + this.nowMs;
  }

  /** Feeds one event; returns everything that came of it, proposals (and what their commits led to) included. */
  step(event: PlannerEvent, afterMs = 0): PlannerEffect[] {
    this.nowMs += afterMs;
    const effects = stepPlanner(this.planner, event, { nowMs: this.nowMs, wallMs: this.wallMs });
    for (const effect of effects) if (effect.type === 'propose') this.proposed.push(...effect.commands);
    validatePlanner(this.planner);
    return this.holds ? effects : [...effects, ...this.commit()];
  }

  commit(): PlannerEffect[] {
    const commands = this.proposed.splice(0);
    if (commands.length === 0) return [];
    const events = commands.flatMap((command) => applyCommand(this.planner.ledger, command));
    validateLedger(this.planner.ledger);
    return this.step({ type: 'applied', events });
  }

  elect(term = 1): PlannerEffect[] {
    return [...this.step({ type: 'elected', term }), ...this.step({ type: 'connected' })];
  }

  /** The node joins and says that it has nothing in hand. */
  join(node: string, change: Partial<NodeStatus> = {}): PlannerEffect[] {
    const status = nodeStatus(node, change);
    const effects = this.step({ type: 'node-status', status });
    const request = this.planner.nodes.get(node)!.request;
    return [
      ...effects,
      ...this.report(node, [{ type: 'inventory', request, attempts: [], clockMs: this.wallMs }], status.bootId),
    ];
  }

  report(
    node: string,
    messages: readonly OutboxMessage[],
    bootId = this.planner.nodes.get(node)?.status.bootId ?? '',
  ): PlannerEffect[] {
    return this.step({ type: 'node-reported', node, bootId, messages });
  }

  submit(job: string, plan: JobPlan, specHash = 'h1'): PlannerEffect[] {
    return this.step({ type: 'submitted', account: 'me', job, specHash, plan });
  }

  /** What a stage splits has been read: it holds so many records. */
  indexed(job: string, stage: string, totalRecords: number, source = blobNamed('a')): PlannerEffect[] {
    return this.step({ type: 'indexed', account: 'me', job, stage, source, index: recordIndex(totalRecords) });
  }
}

export function assigned(effects: readonly PlannerEffect[]): { node: string; attempt: string; task: string }[] {
  return effects.flatMap((effect) =>
    effect.type === 'send' && effect.message.type === 'assign'
      ? [{ node: effect.node, attempt: effect.message.attempt, task: effect.message.task }]
      : [],
  );
}

export function done(attempt: string, value: unknown = 1): OutboxMessage {
  return { type: 'done', attempt, usage, output: json(value) };
}

export function failed(
  attempt: string,
  fault: 'task' | 'node',
  code = fault === 'task' ? 'MESH_TASK_THREW' : 'MESH_BLOB_MISSING',
): OutboxMessage {
  return { type: 'failed', attempt, fault, code, message: 'boom', usage };
}
