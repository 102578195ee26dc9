import {
  decodeCbor,
  encodeCbor,
  type MetricSample,
  type NodeStatus,
  type OutboxMessage,
} from '@foremesh/node-runtime/contract';
import {
  answerQuery,
  type JobPlan,
  type PlannerEffect,
  restoreLedger,
  type StagePlan,
  snapshotLedger,
  splitAnew,
} from '@foremesh/node-runtime/core';
import { blobNamed, done, failed, Leader, mergeCode, nodeStatus, stagePlan } from '../../unit/core/samples.ts';
import { goldenFiles, type Options, runGolden } from './golden.ts';
import { showEffect, showPlanner, showWhy } from './show-planner.ts';

/**
 * Commands: leader [term=], elected, connected, disconnected, hold, apply, tick [ms=],
 * join <node> [slots= queue= labels= engines= memory= boot=] (status, then an empty inventory), status <node> [... seq= online=],
 * metrics <node> [boot= seq= ms= own= free=] (of a CPU, and MiB of 1024), no-history <node>, why <task>, submit <job> [hash= schedule= overlap= deadline= retention=] <stage>..., cancel <job>, indexed <job> <stage> records=, index-failed <job> <stage>,
 * checkpointed <node> <attempt> [sequence=], split-anew <job> <task> <records>...,
 * started, progress <node> <attempt> [fraction=], done <node> <attempt>..., failed <node> <attempt> [fault= code=], inventory <node> [request=] <attempt>...
 * A stage: name[:split[/chunks]][:needs/a/b][:label/x][:priority/9][:retries/0][:memory/900][:parts]; an attempt `s-0#1.1` is of job j.
 */
describe('golden: planner', () => {
  for (const file of goldenFiles('planner')) {
    it(file, () => {
      let leader = new Leader();
      runGolden(file, (command, words, options) => {
        if (command === 'leader') {
          // Another process, from what the disk holds.
          const ledger = restoreLedger(decodeCbor(encodeCbor(snapshotLedger(leader.planner.ledger))));
          leader = new Leader({}, ledger, options.number('term', 1));
          return showPlanner(leader.planner);
        }
        if (command === 'why')
          return showWhy(answerQuery(leader.planner, 'me', { v: 1, id: 'q', query: 'why', name: words[0]! }));
        const effects = execute(leader, command, words, options);
        return [...effects.map(showEffect), ...showPlanner(leader.planner)];
      });
    });
  }
});

function execute(leader: Leader, command: string, words: string[], options: Options): PlannerEffect[] {
  const [first = '', second = '', ...rest] = words;
  const ofJob = { account: 'me', job: first };
  const report = (message: OutboxMessage) => leader.report(first, [message], options.text('boot') || undefined);
  switch (command) {
    case 'elected':
      return leader.step({ type: 'elected', term: options.number('term', 1) });
    case 'connected':
    case 'disconnected':
      return leader.step({ type: command });
    case 'hold':
      leader.holds = true;
      return [];
    case 'apply':
      leader.holds = false;
      return leader.commit();
    case 'tick':
      return leader.step({ type: 'tick' }, options.number('ms', 250));
    case 'join':
      return leader.join(first, statusOf(options));
    case 'status':
      return leader.step({ type: 'node-status', status: nodeStatus(first, statusOf(options)) });
    case 'metrics': {
      const bootId = options.text('boot', `${first}-1`);
      const samples = options.text('free') === '' ? [] : [sampleOf(options)];
      const metrics = { v: 1 as const, node: first, bootId, seq: options.number('seq', leader.nowMs), samples };
      return leader.step({ type: 'node-metrics', metrics }, options.number('ms'));
    }
    case 'no-history': {
      const { request } = leader.planner.foresight.asked.get(first)!;
      return report({ type: 'request-failed', request, problem: { code: 'MESH_STORAGE_FAILED', message: 'none' } });
    }
    case 'submit':
      return leader.submit(first, timed(planFrom(words.slice(1)), options), options.text('hash', 'h1'));
    case 'cancel':
      return leader.step({ type: 'cancel-requested', ...ofJob, reason: 'not needed any more' });
    case 'indexed':
      return leader.indexed(first, second, options.number('records'));
    case 'index-failed':
      return leader.step({
        type: 'index-failed',
        ...ofJob,
        stage: second,
        problem: { code: 'MESH_INPUT_INVALID', message: 'no JSON array' },
      });
    case 'started':
      return report({ type: 'started', attempt: full(second) });
    case 'progress':
      return report({ type: 'progress', attempt: full(second), fraction: options.number('fraction', 0.5) });
    case 'split-anew': {
      const effects: PlannerEffect[] = [];
      const task = leader.planner.jobs.get(`me/${first}`)!.tasks.get(second)!;
      splitAnew(leader.planner, task, rest.map(Number), effects);
      for (const effect of effects) if (effect.type === 'propose') leader.proposed.push(...effect.commands);
      return leader.holds ? effects : [...effects, ...leader.commit()];
    }
    case 'checkpointed': {
      const sequence = options.number('sequence', 1);
      return report({
        type: 'checkpointed',
        attempt: full(second),
        checkpoint: { sequence, state: blobNamed(String.fromCharCode(96 + sequence)) },
      });
    }
    case 'done':
      return leader.report(
        first,
        [second, ...rest].map((attempt) => done(full(attempt), attempt)),
        options.text('boot') || undefined,
      );
    case 'failed':
      return report({
        ...failed(full(second), options.text('fault', 'task') as 'task'),
        ...(options.text('code') === '' ? {} : { code: options.text('code') }),
      });
    case 'inventory': {
      const request = options.number('request', leader.planner.nodes.get(first)?.request);
      return report({ type: 'inventory', request, attempts: words.slice(1).map(full) });
    }
    default:
      throw new Error(`no command ${command}`);
  }
}

function sampleOf(options: Options): MetricSample {
  const own = options.number('own');
  return {
    ...{ ageMs: 0, cpuShare: own, cpuBackgroundShare: own, memoryMeshBytes: 0 },
    memoryAvailableBytes: options.number('free') * 1024 ** 2,
    ...{ networkReceivedBytesPerSecond: 0, networkSentBytesPerSecond: 0 },
  };
}

function full(attempt: string): string {
  return attempt.includes('/') ? attempt : `me/j/${attempt}`;
}

function statusOf(options: Options): Partial<NodeStatus> {
  const boot = options.text('boot');
  const engines = options.list('engines') as NodeStatus['engines'];
  return {
    slots: options.number('slots', 1),
    queue: options.number('queue', 0),
    labels: options.list('labels'),
    seq: options.number('seq', 1),
    online: options.text('online') !== 'no',
    ...(engines.length === 0 ? {} : { engines }),
    ...(boot === '' ? {} : { bootId: boot }),
    ...(options.text('memory') === '' ? {} : { offeredMemoryBytes: options.number('memory') * 1024 ** 2 }),
  };
}

/** `schedule=@hourly`, or with `_` for blanks: blanks would end the word. */
function timed(plan: JobPlan, options: Options): JobPlan {
  const cron = options.text('schedule').replaceAll('_', ' ');
  const schedule = {
    cron,
    timezone: 'UTC',
    catchUp: 'none' as const,
    overlap: options.text('overlap', 'allow') as 'skip',
  };
  return {
    ...plan,
    ...(cron === '' ? {} : { schedule }),
    ...(options.text('deadline') === '' ? {} : { deadline: { withinMs: options.number('deadline') } }),
    ...(options.text('retention') === '' ? {} : { retentionMs: options.number('retention') }),
  };
}

function planFrom(stages: string[]): JobPlan {
  const parsed = stages.map(stageFrom);
  const needed = new Set(parsed.flatMap((stage) => stage.needs));
  return { stages: parsed.map((stage) => ({ ...stage, sink: !needed.has(stage.stage) })) };
}

function stageFrom(text: string): StagePlan {
  const [name, ...traits] = text.split(':') as [string, ...string[]];
  const trait = (key: string) =>
    traits
      .find((each) => each.split('/')[0] === key)
      ?.split('/')
      .slice(1);
  const needs = trait('needs') ?? [];
  const split = trait('split');
  const memory = trait('memory')?.[0];
  const limits =
    memory === undefined ? {} : { limits: { ...stagePlan(name).limits, memoryBytes: Number(memory) * 1024 ** 2 } };
  const chunks = split?.[0] === undefined ? {} : { chunks: Number(split[0]) };
  return stagePlan(name, {
    needs,
    labels: trait('label') ?? [],
    priority: Number(trait('priority')?.[0] ?? 5),
    retries: Number(trait('retries')?.[0] ?? 2),
    ...limits,
    ...(split === undefined ? {} : { split: { by: 'lines', ...chunks } }),
    ...(split === undefined || trait('parts') !== undefined ? {} : { merge: mergeCode }),
    ...(needs.length === 0 ? { input: blobNamed('a') } : {}),
  });
}
