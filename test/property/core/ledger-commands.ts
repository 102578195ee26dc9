import { limits } from '@foremesh/node-runtime/contract';
import type { JobPlan, LedgerCommand } from '@foremesh/node-runtime/core';
import fc from 'fast-check';
import { blobNamed, json, mergeCode, planOf, stagePlan, usage } from '../../unit/core/samples.ts';

export const plans: readonly JobPlan[] = [
  planOf(stagePlan('s')),
  planOf(stagePlan('s', { input: blobNamed('a'), split: { by: 'lines' }, merge: mergeCode })),
  planOf(
    stagePlan('s', { input: blobNamed('a'), split: { by: 'lines' }, sink: false }),
    stagePlan('s-1', { needs: ['s'], split: { by: 'items' }, merge: mergeCode }),
  ),
];
const timed: readonly JobPlan[] = [
  { ...planOf(stagePlan('s')), deadline: { withinMs: 4_000 } },
  ...(['allow', 'skip'] as const).map((overlap): JobPlan => {
    const schedule = { cron: '* * * * * *', timezone: 'UTC', catchUp: 'none' as const, overlap };
    return { ...planOf(stagePlan('s')), schedule };
  }),
];
export const retentionMs = 1_000;
const stages = ['s', 's-1', 'nowhere'];
/** Names of tasks, more often those that are. */
const taskName = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom('s-0', 's-1', 's-merge', 's-1-0', 's-1-merge') },
  fc.constantFrom('s-2', 's-1-1', 's-', 's-00', 's-0x1', 'nowhere-0', 'constructor'),
);

const head = { account: fc.constant('me'), job: fc.constantFrom('a', 'b', 'c'), atMs: fc.nat(10_000) };
const attempt = fc.nat(2).map((n) => `me/a/s-0#1.${n}`);
const node = fc.constantFrom('n1', 'n2', 'n3');
const range = fc.record({ start: fc.nat(50), end: fc.nat(50), firstRecord: fc.nat(3), records: fc.nat(3) });
const cutTasks = fc.oneof(
  // A sound cut, as the planner makes it...
  fc
    .record({ stage: fc.constantFrom('s', 's-1'), sizes: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 4 }) })
    .map(({ stage, sizes }) => {
      let firstRecord = 0;
      return sizes.map((records, number) => {
        const piece = {
          task: `${stage}-${number}`,
          range: { start: firstRecord, end: firstRecord + records, firstRecord, records },
        };
        firstRecord += records;
        return piece;
      });
    }),
  fc.constantFrom([{ task: 's-0' }], [{ task: 's-1-0' }]),
  // ... and any other.
  fc.array(fc.record({ task: taskName, range }), { maxLength: 4 }),
);

const accepts = fc.record({
  type: fc.constant('accept-job' as const),
  ...head,
  specHash: fc.constantFrom('h1', 'h2'),
  plan: fc.constantFrom(...plans, ...timed).map((plan) => ({ ...plan, retentionMs })),
  cuts: fc.array(
    fc.record({ stage: fc.constantFrom(...stages), source: fc.constant(blobNamed('b')), tasks: cutTasks }),
    { maxLength: 2 },
  ),
});
const cuts = fc.record({
  type: fc.constant('cut-stage' as const),
  ...head,
  stage: fc.constantFrom(...stages),
  source: fc.constant(blobNamed('b')),
  tasks: cutTasks,
});
const pieceCuts = fc.record({
  type: fc.constant('cut-stage' as const),
  ...head,
  stage: fc.constantFrom('s', 's-1'),
  source: fc.constant(blobNamed('b')),
  totalRecords: fc.integer({ min: 0, max: 6 }),
  tasks: cutTasks,
});
/** Of the first task of a stage most often, into what may be its records. */
const retirements = fc.record({
  type: fc.constant('retire-task' as const),
  ...head,
  task: taskName,
  into: fc.oneof(
    fc
      .record({
        stage: fc.constantFrom('s', 's-1'),
        first: fc.nat(4),
        middle: fc.integer({ min: 1, max: 2 }),
        end: fc.nat(3),
      })
      .map(({ stage, first, middle, end }) => [
        { task: `${stage}-${first}`, range: { start: 0, end: middle, firstRecord: 0, records: middle } },
        { task: `${stage}-${first + 1}`, range: { start: middle, end, firstRecord: middle, records: end - middle } },
      ]),
    cutTasks,
  ),
});
const log = fc.constantFrom(100, limits.logBytesPerJob / 2).map((sizeBytes) => blobNamed('9', sizeBytes));
const commits = fc.record(
  {
    type: fc.constant('commit-task' as const),
    ...head,
    task: taskName,
    attempt,
    node,
    output: fc.nat(9).map(json),
    usage: fc.nat(3).map((cpuMs) => ({ ...usage, cpuMs })),
    speed: fc.constantFrom(0.5, 1, 4.8),
    log,
  },
  { requiredKeys: ['type', 'account', 'job', 'atMs', 'task', 'attempt', 'node', 'output', 'usage', 'speed'] },
);
const failures = fc.record(
  {
    type: fc.constant('fail-attempt' as const),
    ...head,
    task: taskName,
    attempt,
    node,
    problem: fc.constant({ code: 'MESH_TASK_THREW', message: 'boom' }),
    log,
  },
  { requiredKeys: ['type', 'account', 'job', 'atMs', 'task', 'attempt', 'node', 'problem'] },
);
const state = fc.constantFrom('x', 'y', 'z').map(blobNamed);
const checkpoints = fc.record({
  type: fc.constant('count-checkpoint' as const),
  ...head,
  task: taskName,
  attempt,
  checkpoint: fc.record({ sequence: fc.integer({ min: 1, max: 4 }), state }),
});
const losses = fc.record({
  type: fc.constant('drop-checkpoint' as const),
  ...head,
  task: taskName,
  blob: state.map(({ blob }) => blob),
});
const ends = fc.record({
  type: fc.constant('end-job' as const),
  ...head,
  phase: fc.constantFrom('failed' as const, 'cancelled' as const),
  problem: fc.constant({ code: 'MESH_JOB_CANCELLED', message: 'enough' }),
});
const key = fc.constantFrom('k', 'l').map((letter) => `${letter.repeat(42)}A`);
const enrollments = fc.record({
  type: fc.constant('enroll-node' as const),
  node,
  publicKey: key,
  atMs: fc.nat(10_000),
});
const removals = fc.record({ type: fc.constant('remove-node' as const), node, atMs: fc.nat(10_000) });
const voters = fc.uniqueArray(fc.record({ node, publicKey: key }), { minLength: 1, selector: (voter) => voter.node });
const links = fc.record({
  type: fc.constant('certify-voters' as const),
  link: fc.record(
    { index: fc.nat(30), term: fc.nat(5), voters, outgoing: voters, signer: key, signature: fc.constant('s') },
    { requiredKeys: ['index', 'term', 'voters', 'signer', 'signature'] },
  ),
});
const settings = fc.record({
  type: fc.constant('set-voters' as const),
  settings: fc.record({ settleMs: fc.nat(9), replaceAfterMs: fc.nat(9) }),
  atMs: fc.nat(10_000),
});
const most = fc.option(fc.nat(9));
const quotas = fc.record({
  type: fc.constant('set-quota' as const),
  account: fc.constantFrom('me', 'you', 'constructor'),
  change: fc.record({ jobs: most, storedBytes: most, tasksAtOnce: most }, { requiredKeys: [] }),
  atMs: fc.nat(10_000),
});
const begins = fc.record({ type: fc.constant('begin-schedule' as const), ...head, fromMs: fc.nat(3_000) });
const starts = fc.record(
  {
    type: fc.constant('start-occurrence' as const),
    ...head,
    occurrenceMs: fc.integer({ min: 1, max: 9 }).map((second) => second * 1_000),
    skip: fc.constant('no room'),
  },
  { requiredKeys: ['type', 'account', 'job', 'atMs', 'occurrenceMs'] },
);
const misses = fc.record({ type: fc.constant('miss-deadline' as const), ...head });
const promises = fc.record({
  type: fc.constant('promise-job' as const),
  ...head,
  promise: fc.record({ withinMs: fc.nat(9_000), confidence: fc.constantFrom(0.5, 0.9), madeMs: fc.nat(900) }),
});
const expiries = fc.record({ type: fc.constant('expire-job' as const), ...head });
const ages = fc.record({ type: fc.constant('pass-time' as const), passedMs: fc.constantFrom(-1, 0.5, 0, 400, 1_000) });
const models = fc.record({
  type: fc.constant('keep-model' as const),
  kind: fc.constantFrom('cpu', 'memory', 'constructor' as 'cpu'),
  model: fc.constantFrom('ridge', 'lstm'),
  weights: fc.constantFrom('d', 'e').map((digit) => ({ blob: `sha256-${digit.repeat(43)}`, sizeBytes: 100 })),
  trainedOn: fc.record({ series: fc.nat(9), windows: fc.nat(99) }),
});
const commands: fc.Arbitrary<LedgerCommand> = fc.oneof(
  { weight: 3, arbitrary: ages },
  { weight: 3, arbitrary: begins },
  { weight: 6, arbitrary: starts },
  { weight: 1, arbitrary: misses },
  { weight: 1, arbitrary: promises },
  { weight: 4, arbitrary: expiries },
  { weight: 1, arbitrary: settings },
  { weight: 2, arbitrary: quotas },
  { weight: 2, arbitrary: models },
  { weight: 2, arbitrary: enrollments },
  { weight: 1, arbitrary: removals },
  { weight: 2, arbitrary: links },
  { weight: 4, arbitrary: accepts },
  { weight: 6, arbitrary: cuts },
  { weight: 3, arbitrary: pieceCuts },
  { weight: 4, arbitrary: retirements },
  { weight: 10, arbitrary: commits },
  { weight: 8, arbitrary: failures },
  { weight: 8, arbitrary: checkpoints },
  { weight: 2, arbitrary: losses },
  { weight: 1, arbitrary: ends },
);
export const sequences = fc.array(commands, { maxLength: 80, size: 'max' });
