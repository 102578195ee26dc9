import assert from 'node:assert/strict';
import { decodeCbor, encodeCbor } from '@foremesh/node-runtime/contract';
import {
  applyCommand,
  createLedger,
  type JobCommand,
  type Ledger,
  partsOf,
  restoreLedger,
  snapshotLedger,
  stageOutput,
  validateLedger,
} from '@foremesh/node-runtime/core';
import fc from 'fast-check';
import { blobNamed, json, mergeCode, planOf, stagePlan, usage } from '../../unit/core/samples.ts';

const numRuns = Math.max(300, Number(process.env.FOREMESH_FUZZ_RUNS ?? 0));
const of = { account: 'me', job: 'j', atMs: 0 };

/** The dumb model: which task has each record, which it had before, and what is done. */
class Model {
  readonly total: number;
  readonly merges: boolean;
  readonly owners: string[] = [];
  readonly retired = new Set<string>();
  readonly done = new Set<string>();
  named = 0;

  constructor(total: number, merges: boolean) {
    this.total = total;
    this.merges = merges;
  }

  recordsOf(task: string): number[] {
    return this.owners.flatMap((owner, record) => (owner === task ? [record] : []));
  }

  give(task: string, from: number, to: number): void {
    for (let record = from; record < to; record += 1) this.owners[record] = task;
    this.named += 1;
  }

  get open(): string[] {
    return [...new Set(this.owners)].filter((task) => !this.done.has(task));
  }
}

function piece(number: number, from: number, to: number) {
  return { task: `s-${number}`, range: { start: from * 10, end: to * 10, firstRecord: from, records: to - from } };
}

/** What somebody proposes: an honest leader, or one that does not know the newest. Returns what becomes of it by the model. */
type Step = {
  readonly kind: 'cut' | 'stale-cut' | 'retire' | 'commit' | 'disk';
  readonly pick: number;
  readonly size: number;
};

function act(ledger: Ledger, model: Model, { kind, pick, size }: Step): void {
  const apply = (command: JobCommand) => applyCommand(ledger, command)[0]!;
  const at = model.owners.length;
  if (kind === 'cut' && at < model.total) {
    const to = Math.min(model.total, at + 1 + size);
    const tasks = [piece(model.named, at, to)];
    const event = apply({
      type: 'cut-stage',
      ...of,
      stage: 's',
      source: blobNamed('a'),
      totalRecords: model.total,
      tasks,
    });
    assert.equal(event.type, 'stage-cut');
    model.give(`s-${model.named}`, at, to);
  } else if (kind === 'stale-cut') {
    // As of a leader that knows an older log: the same records, or the same names.
    const from = at === 0 ? 1 : pick % at;
    const tasks = [piece(size % 2 === 0 ? model.named : pick % (model.named + 1), from, from + 1 + size)];
    const event = apply({ type: 'cut-stage', ...of, stage: 's', totalRecords: model.total, tasks });
    assert.equal(event.type, 'dropped');
  } else if (kind === 'retire' && model.owners.length > 0) {
    const tasks = [...new Set([...model.owners, ...model.retired])];
    const task = tasks[pick % tasks.length]!;
    const records = model.recordsOf(task);
    const [from, to] = [records[0] ?? 0, (records.at(-1) ?? 1) + 1];
    const middle = from + 1 + (size % Math.max(1, to - from - 1));
    const into = [piece(model.named, from, middle), piece(model.named + 1, middle, to)];
    const event = apply({ type: 'retire-task', ...of, task, into });
    const isRight = !model.done.has(task) && !model.retired.has(task) && middle < to;
    assert.equal(event.type, isRight ? 'task-retired' : 'dropped', `${task} ${from} ${middle} ${to}`);
    if (!isRight) return;
    model.retired.add(task);
    model.give(into[0]!.task, from, middle);
    model.give(into[1]!.task, middle, to);
  } else if (kind === 'commit') {
    const names = [...Array(model.named).keys()].map((number) => `s-${number}`).concat('s-merge');
    commit(ledger, model, names[pick % names.length]!);
  }
}

function commit(ledger: Ledger, model: Model, task: string): void {
  const output = json(model.recordsOf(task));
  const end = { attempt: `me/j/${task}#1.1`, node: 'n1', output, usage };
  const [event] = applyCommand(ledger, { type: 'commit-task', ...of, task, ...end });
  const isWhole = model.owners.length === model.total;
  const isOpen = task === 's-merge' ? model.merges && isWhole && model.open.length === 0 : model.open.includes(task);
  assert.equal(event!.type, isOpen ? 'task-committed' : 'dropped', task);
  if (isOpen) model.done.add(task);
}

const steps = fc.array(
  fc.record({
    kind: fc.constantFrom<Step['kind']>('cut', 'cut', 'stale-cut', 'retire', 'retire', 'commit', 'commit', 'disk'),
    pick: fc.nat(1_000),
    size: fc.nat(7),
  }),
  { maxLength: 60, size: 'max' },
);

describe('cuts of a stage', () => {
  for (const merges of [true, false]) {
    it(`${merges ? 'with' : 'without'} a merge have every record in one result that counts, in order, whoever proposes what`, () => {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 30 }), steps, (total, sequence) => {
          let ledger = createLedger();
          const model = new Model(total, merges);
          const stage = stagePlan('s', {
            input: blobNamed('a'),
            split: { by: 'lines' },
            sink: merges,
            ...(merges ? { merge: mergeCode } : {}),
          });
          const plan = planOf(stage, ...(merges ? [] : [stagePlan('end', { needs: ['s'] })]));
          applyCommand(ledger, { type: 'accept-job', ...of, specHash: 'h', plan, cuts: [] });
          for (const step of sequence) {
            if (ledger.jobs.get('me/j')!.phase !== 'running') break;
            if (step.kind === 'disk') ledger = restoreLedger(decodeCbor(encodeCbor(snapshotLedger(ledger))));
            else act(ledger, model, step);
            validateLedger(ledger);
          }
          const job = () => ledger.jobs.get('me/j')!;
          while (model.owners.length < total) act(ledger, model, { kind: 'cut', pick: 0, size: 3 });
          for (const task of model.open) commit(ledger, model, task);
          const parts = partsOf(job().stages.get('s')!);
          assert.deepEqual(
            parts.flatMap(({ range }) => Array.from({ length: range!.records }, (_, at) => range!.firstRecord + at)),
            Array.from({ length: total }, (_, record) => record),
          );
          assert.deepEqual(
            parts.map(({ task }) => task),
            [...new Set(model.owners)],
          );
          if (!merges) {
            const values = (stageOutput(job(), 's') as { inline: Uint8Array }[]).flatMap(({ inline }) =>
              JSON.parse(new TextDecoder().decode(inline)),
            );
            assert.deepEqual(
              values,
              Array.from({ length: total }, (_, record) => record),
            );
          } else if (job().phase === 'running') {
            assert.equal(job().stages.get('s')!.done, false);
            commit(ledger, model, 's-merge');
          }
          if (merges) assert.equal(job().phase, 'done');
          assert.equal(job().stages.get('s')!.done, true);
          validateLedger(ledger);
        }),
        { numRuns },
      );
    });
  }

  it('that an older release has written are whole', () => {
    const ledger = createLedger();
    const plan = planOf(stagePlan('s', { input: blobNamed('a'), split: { by: 'lines' }, merge: mergeCode }));
    applyCommand(ledger, { type: 'accept-job', ...of, specHash: 'h', plan, cuts: [] });
    const tasks = [piece(0, 0, 4), piece(1, 4, 5)];
    const [event] = applyCommand(ledger, { type: 'cut-stage', ...of, stage: 's', source: blobNamed('a'), tasks });
    assert.deepEqual(event, {
      type: 'stage-cut',
      key: 'me/j',
      stage: 's',
      tasks: ['s-0', 's-1', 's-merge'],
      stageDone: false,
    });
    const again = applyCommand(ledger, {
      type: 'cut-stage',
      ...of,
      stage: 's',
      totalRecords: 6,
      tasks: [piece(2, 5, 6)],
    });
    assert.equal(again[0]!.type, 'dropped');
  });
});
