import type { Forecaster, ForecasterFactory, QuantileCurves } from '@foremesh/models';
import type { ForecastResource, MetricSample, NodeMetrics } from '@foremesh/node-runtime/contract';
import type { Foresight, PlannerEffect } from '@foremesh/node-runtime/core';
import type { Leader, nodeStatus } from './samples.ts';

export const GiB = 1024 ** 3;
export const stepMs = 60_000;
/** The leader's clock at which the first step of the first node begins. */
export const phaseMs = ((Math.sqrt(5) - 1) / 2) * stepMs;

/** Keeps what it is told; forecasts what the test says. */
export class Told implements Foresight {
  learningDue = false;
  meanwhile?: ForecasterFactory;
  pieces = 0;
  readonly values = new Map<string, number[]>();
  readonly recalled = new Map<string, number[]>();
  readonly closed: string[] = [];
  curves: Partial<Record<ForecastResource, Omit<QuantileCurves, 'intervalMs'>>> = {};
  /** Values that its scores rest on. */
  evidence = 60;

  open({ key, kind, intervalMs }: Parameters<Foresight['open']>[0]): Forecaster {
    const values: number[] = [];
    this.values.set(key, values);
    const flat = (steps: number) => Array<number>(steps).fill(0);
    return {
      model: 'told',
      observe: (value) => void values.push(value),
      recall: (past) => void this.recalled.set(key, Array.from(past)),
      forecast: (steps) => ({
        ...{ intervalMs, q10: flat(steps), q50: flat(steps), q90: flat(steps) },
        ...this.curves[kind],
      }),
    };
  }
  close(key: string): void {
    this.closed.push(key);
  }
  why() {
    const members = ['a', 'b', 'c', 'd', 'e'].map((model, index) => ({
      model,
      weight: [0.3, 0.5, 0.004, 0.1, 0.1][index]!,
      loss: [0.25, 0.375, 1, 1, 1][index]!,
    }));
    members.sort((left, right) => right.weight - left.weight);
    return { champion: 'a', evidence: this.evidence, loss: 0.5, lossOfLast: 0.75, members };
  }
  *learn() {
    for (let piece = 0; piece < 3; piece += 1) {
      this.pieces += 1;
      yield;
    }
    this.learningDue = false;
  }
}

export function sample(ageMs: number, cpuBackgroundShare: number, change: Partial<MetricSample> = {}): MetricSample {
  return {
    ageMs,
    cpuShare: cpuBackgroundShare,
    cpuBackgroundShare,
    memoryAvailableBytes: 0.75 * GiB,
    memoryMeshBytes: 0,
    networkReceivedBytesPerSecond: 1_000,
    networkSentBytesPerSecond: 10,
    ...change,
  };
}

export const asksOf = (effects: readonly PlannerEffect[]) =>
  effects.flatMap((effect) =>
    effect.type === 'send' && effect.message.type === 'history-request'
      ? [{ ...effect.message, node: effect.node }]
      : [],
  );
export const forecastsOf = (effects: readonly PlannerEffect[]) =>
  effects.flatMap((effect) => (effect.type === 'publish-forecast' ? [effect.forecast] : []));

/** The first node of a leader, and what it says: the leader's clock goes on to when it says it. */
export function bobOf(leader: () => Leader) {
  let seq = 0;
  /** A round of the leader at this moment of its clock. */
  function tickAt(atMs: number): PlannerEffect[] {
    return leader().step({ type: 'tick' }, atMs - leader().nowMs);
  }
  function metricsAt(atMs: number, samples: MetricSample[], change: Partial<NodeMetrics> = {}): void {
    seq += 1;
    const metrics = { v: 1 as const, node: 'bob', bootId: 'bob-1', seq, samples, ...change };
    leader().step({ type: 'node-metrics', metrics }, atMs - leader().nowMs);
  }
  /** bob joins and has no history to tell. */
  function join(change: Parameters<typeof nodeStatus>[1] = {}): void {
    leader().join('bob', change);
    const [ask] = asksOf(tickAt(leader().nowMs));
    leader().report('bob', [
      { type: 'request-failed', request: ask!.request, problem: { code: 'MESH_STORAGE_FAILED', message: 'no' } },
    ]);
  }
  /** One sample in the middle of each step from `from` on, and one in the step after the last, so that all are complete. */
  function steps(values: readonly number[], from = 1): void {
    for (const [index, value] of [...values, 0].entries())
      metricsAt(phaseMs + (from + index - 0.5) * stepMs, [sample(0, value)]);
  }
  return { tickAt, metricsAt, join, steps };
}
