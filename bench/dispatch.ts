// What it costs a leader to hand out long tasks: every event of a busy mesh, tasks ready x nodes, by both policies.
import { createHash } from 'node:crypto';
import { predictTasks, type QuantileCurves } from '@foremesh/models';
import { limits, type NodeStatus, type OutboxMessage } from '@foremesh/node-runtime/contract';
import {
  applyCommand,
  createLedger,
  createPlanner,
  type Foresight,
  type JobPlan,
  type PlannerEvent,
  type PlannerPolicy,
  plannerDefaults,
  stepPlanner,
} from '@foremesh/node-runtime/core';
import { standardPlanning } from '@foremesh/partitioner';
import { occurrencesOf } from '@foremesh/partitioner/occurrences';
import { loadAverage } from './spine/proc.ts';
import { quantile, round } from './spine/statistics.ts';

const json = process.argv.includes('--json');
const nodeCounts = [16, 64];
const jobCounts = [1, 16];
const tasksReady = 1_024;
const slots = 2;
/** Of each task, in the middle, on a core of speed 1: it is looked ahead for. */
const taskSeconds = 60;
/** So much virtual time passes: every slot becomes free and is taken a few times. */
const runSeconds = 90;
const tickMs = 500;
const metricsMs = 5_000;
const mebibyte = 1024 ** 2;

/** Numbers from 0 to 1 that depend on the seed alone (mulberry32). */
function chanceFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Devices that are busy now and then: what is foreseen costs nothing here, but has as many steps as it has in earnest. */
function foresightOf(chance: () => number): Foresight {
  return {
    open: ({ key }) => ({
      model: key,
      observe: () => undefined,
      forecast: (steps): QuantileCurves => {
        const q50 = Array.from({ length: steps }, () => (chance() < 0.7 ? 0.1 : 0.8) * (0.8 + 0.2 * chance()));
        const scaled = (factor: number) => q50.map((share) => share * factor);
        return { intervalMs: plannerDefaults.forecastStepMs, q10: scaled(0.5), q50, q90: scaled(1.1) };
      },
    }),
  };
}

function statusOf(node: string, chance: () => number): NodeStatus {
  return {
    ...{ v: 1, node, bootId: `${node}-1`, seq: 1, online: true, release: '0', arch: 'x64', platform: 'linux' },
    ...{ cores: slots, memoryBytes: 1024 * mebibyte, engines: ['js'], speed: { js: 0.5 + chance() }, labels: [] },
    ...{ share: 1, slots, queue: 64, offeredMemoryBytes: 512 * mebibyte, mayLead: false },
    ...{ publicKey: 'A'.repeat(43), admission: 'A'.repeat(43) },
  };
}

function planOf(tasks: number): JobPlan {
  const input = { blob: `sha256-${'a'.repeat(64)}`, sizeBytes: tasks * mebibyte };
  const code = { engine: 'js' as const, blob: `sha256-${'c'.repeat(64)}`, sizeBytes: 100 };
  const taskLimits = { memoryBytes: limits.memoryBytesLeast, cpuMs: 1, wallMs: 1, outputBytes: 1 };
  const matrix = { number: Array.from({ length: tasks }, (_, number) => number) };
  const stage = { stage: 's', code, input, matrix, needs: [], priority: 5, retries: 2, limits: taskLimits, labels: [] };
  return { stages: [{ ...stage, sink: true, estimateSeconds: taskSeconds * tasks }] };
}

/** What became of one run: CPU time of events but ticks, milliseconds, and all that was assigned, as a hash. */
interface Run {
  /** Of those with which something was assigned, and of all others. */
  readonly assigningMs: readonly number[];
  readonly otherMs: readonly number[];
  readonly assignments: string;
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

function run(nodes: number, jobs: number, looksAhead: boolean): Run {
  const chance = chanceFrom(nodes * 1_000 + jobs);
  const policy: PlannerPolicy = {
    ...standardPlanning,
    ...{ looksAhead, occurrences: occurrencesOf, predictTasks, createForesight: () => foresightOf(chance) },
  };
  const ledger = createLedger();
  const planner = createPlanner({ id: 'leader', bootId: 'leader-1', holders: [], ledger, policy });
  const assigningMs: number[] = [];
  const otherMs: number[] = [];
  const assignments = createHash('sha256');
  const ends: { readonly atMs: number; readonly node: string; readonly message: OutboxMessage }[] = [];
  let nowMs = 0;
  const step = (event: PlannerEvent, isMeasured = true): void => {
    const beganMs = cpuMs();
    const effects = stepPlanner(planner, event, { nowMs, wallMs: 1e12 + nowMs });
    const tookMs = cpuMs() - beganMs;
    const assigns = effects.some((effect) => effect.type === 'send' && effect.message.type === 'assign');
    if (isMeasured) (assigns ? assigningMs : otherMs).push(tookMs);
    for (const effect of effects) {
      if (effect.type === 'send' && effect.message.type === 'assign') {
        const { attempt } = effect.message;
        assignments.update(`${nowMs} ${effect.node} ${attempt}\n`);
        const wallMs = 1_000 * taskSeconds * (0.5 + chance());
        const usage = { cpuMs: wallMs, wallMs, peakMemoryBytes: 1, inputBytes: 1, outputBytes: 1 };
        const output = { encoding: 'json' as const, inline: new Uint8Array([49]) };
        ends.push({ atMs: nowMs + wallMs, node: effect.node, message: { type: 'done', attempt, usage, output } });
      } else if (effect.type === 'propose')
        step({ type: 'applied', events: effect.commands.flatMap((command) => applyCommand(ledger, command)) });
    }
  };
  const statuses = Array.from({ length: nodes }, (_, number) => statusOf(`n${number}`, chance));
  const measure = (number: number): void => {
    const cpuBackgroundShare = 0.2 * chance();
    const sample = { ageMs: 0, cpuShare: cpuBackgroundShare, cpuBackgroundShare };
    const memory = { memoryAvailableBytes: 900 * mebibyte, memoryMeshBytes: 0 };
    const network = { networkReceivedBytesPerSecond: 0, networkSentBytesPerSecond: 0 };
    const { node, bootId } = statuses[number]!;
    const samples = [{ ...sample, ...memory, ...network }];
    step({ type: 'node-metrics', metrics: { v: 1, node, bootId, seq: 1 + nowMs, samples } });
  };
  step({ type: 'elected', term: 1 }, false);
  step({ type: 'connected' }, false);
  for (const status of statuses) {
    step({ type: 'node-status', status }, false);
    const { request } = planner.nodes.get(status.node)!;
    const message = { type: 'inventory' as const, request, attempts: [] };
    step({ type: 'node-reported', node: status.node, bootId: status.bootId, messages: [message] }, false);
  }
  // Until all that is foreseen is there.
  for (; nowMs < 2 * plannerDefaults.forecastStepMs; nowMs += metricsMs) {
    for (let number = 0; number < nodes; number += 1) measure(number);
    step({ type: 'tick' }, false);
  }
  otherMs.length = 0;
  const plan = planOf(tasksReady / jobs);
  for (let job = 0; job < jobs; job += 1)
    step({ type: 'submitted', account: 'me', job: `j${job}`, specHash: 'h', plan });
  for (const untilMs = nowMs + runSeconds * 1_000; nowMs < untilMs; nowMs += tickMs) {
    ends.sort((a, b) => a.atMs - b.atMs);
    while (ends.length > 0 && ends[0]!.atMs <= nowMs) {
      const { node, message } = ends.shift()!;
      step({ type: 'node-reported', node, bootId: `${node}-1`, messages: [message] });
    }
    const every = Math.round(metricsMs / tickMs);
    for (let number = (nowMs / tickMs) % every; number < nodes; number += every) measure(number);
    step({ type: 'tick' }, false);
  }
  return { assigningMs, otherMs, assignments: assignments.digest('hex') };
}

const report: Record<string, unknown> = {};
for (const nodes of nodeCounts)
  for (const jobs of jobCounts)
    for (const policy of ['reactive', 'predictive']) {
      const { assigningMs, otherMs, assignments } = run(nodes, jobs, policy === 'predictive');
      const mean = (values: readonly number[]) => round(values.reduce((sum, ms) => sum + ms, 0) / values.length, 3);
      const figures = {
        assigningMs: mean(assigningMs),
        assigningMsP99: round(quantile(assigningMs, 0.99), 2),
        otherMs: mean(otherMs),
        assignments: assignments.slice(0, 12),
      };
      report[`dispatch.${nodes}.${jobs}.${policy}`] = figures;
      if (!json) {
        const text = Object.entries(figures).map(([key, value]) => `${key} ${value}`);
        process.stdout.write(`${nodes} nodes, ${jobs} jobs, ${policy}: ${text.join(', ')}\n`);
      }
    }
report.notes = [`${tasksReady} tasks ready`, `load average: ${loadAverage()}`];
if (json) process.stdout.write(`${JSON.stringify(report)}\n`);
