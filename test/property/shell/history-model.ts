import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type HistoryPage, type HistoryResolution, historyResolution } from '../../../node-runtime/contract/index.ts';
import { History } from '../../../node-runtime/shell/history/history.ts';

export type Step =
  /** Samples, each so many sample intervals after the one before. */
  | { readonly do: 'sample'; readonly gaps: readonly number[] }
  | { readonly do: 'stop' }
  /** The process dies in the midst of its next writes: this share of each had reached the disk. */
  | { readonly do: 'crash'; readonly shares: readonly number[] }
  | { readonly do: 'set-clock'; readonly wallMs: number };

interface Row {
  readonly run: number;
  readonly atMs: number;
  readonly value: number;
  readonly samples: number;
}

const intervalMs = 5_000;
const spansMs = { '1m': 12 * intervalMs, '5m': 60 * intervalMs };
/** What each file has room for, an hour, a day, a month; and how much of that a restart may cost. */
const room: Readonly<Record<HistoryResolution, number>> = { '5s': 720, '1m': 1_440, '5m': 8_640 };
const blockMost = 15;
const samplesPerBlock = 12;

/** The dumbest history there is, beside the real one: lists that only grow, and means by the plain rule. */
export class Model {
  readonly #directory: string;
  #history!: History;
  #fine: Row[] = [];
  /** Of runs that are over. */
  #minutes: Row[] = [];
  #fives: Row[] = [];
  #run = 1;
  #atMs = 0;
  #wallMs = 1.7e12;
  #count = 0;
  readonly problems: string[] = [];

  constructor(directory: string) {
    this.#directory = directory;
  }

  async open(): Promise<void> {
    const onProblem = (text: string) => void this.problems.push(text);
    this.#history = await History.open({ directory: this.#directory, sampleIntervalMs: intervalMs, onProblem });
    this.#run = this.#nextRun();
    this.#atMs = 0;
  }

  async perform(step: Step): Promise<void> {
    if (step.do === 'set-clock') this.#wallMs = step.wallMs;
    else if (step.do === 'sample') for (const gap of step.gaps) this.#add(gap);
    else if (step.do === 'stop') await this.#stop();
    else await this.#crash(step.shares);
    await this.#check();
  }

  #add(gap: number): void {
    this.#atMs += gap * intervalMs;
    this.#wallMs += gap * intervalMs;
    this.#count += 1;
    const value = (this.#count % 2_000) + 1; // kept exactly
    this.#fine.push({ run: this.#run, atMs: this.#atMs, value, samples: 1 });
    const sample = {
      atMs: this.#atMs,
      cpuShare: 0.5,
      cpuBackgroundShare: 0.25,
      memoryAvailableBytes: value,
      memoryMeshBytes: 0,
      networkReceivedBytesPerSecond: 0,
      networkSentBytesPerSecond: 0,
    };
    this.#history.add(sample, this.#wallMs);
  }

  async #stop(): Promise<void> {
    await this.#history.close();
    this.#minutes.push(...means(this.#ofRun(this.#fine), spansMs['1m']));
    this.#fives.push(...means(this.#ofRun(this.#minutes), spansMs['5m']));
    await this.open();
  }

  async #crash(shares: readonly number[]): Promise<void> {
    let before = await this.#files();
    let after = before;
    for (let tries = 0; tries < samplesPerBlock && same(before, after); tries += 1) {
      before = after;
      this.#add(1);
      after = await this.#files();
    }
    await this.#history.close(); // what this writes never happened
    for (const [index, file] of historyResolution.options.entries())
      await writeFile(join(this.#directory, file), torn(before[index]!, after[index]!, shares[index]!));
    await this.open();

    const values = await this.#valuesOf('5s');
    const kept = values.length === 0 ? 0 : this.#fine.findLastIndex(({ value }) => value === values.at(-1)) + 1;
    assert.ok(this.#fine.length - kept <= samplesPerBlock, `${this.#fine.length - kept} samples are lost`);
    const crashed = this.#run - 1;
    const all = means(this.#ofRun(this.#fine, crashed), spansMs['1m']);
    this.#fine = this.#fine.slice(0, kept);
    const survived = means(this.#ofRun(this.#fine, crashed), spansMs['1m']);
    const minutes = await this.#survivors('1m', this.#minutes, all, survived);
    const allFives = means(all, spansMs['5m']);
    this.#fives = await this.#survivors(
      '5m',
      this.#fives,
      allFives,
      means(this.#ofRun(minutes, crashed), spansMs['5m']),
    );
    this.#minutes = minutes;
    // When nothing of the crashed run was on disk its number is used again.
    this.#run = this.#nextRun();
  }

  #nextRun(): number {
    return 1 + Math.max(0, ...[this.#fine, this.#minutes, this.#fives].map((rows) => rows.at(-1)?.run ?? 0));
  }

  /** Means of what survived; or more, because they were on disk before their samples were. */
  async #survivors(file: HistoryResolution, old: Row[], all: Row[], survived: Row[]): Promise<Row[]> {
    const found = await this.#valuesOf(file);
    const candidates = [survived];
    for (let length = Math.max(0, survived.length - 1); length <= all.length; length += 1)
      candidates.push(all.slice(0, length));
    const rows = candidates.map((each) => [...old, ...each]).find((each) => endsWith(each, found));
    assert.ok(rows, `${file}: ${JSON.stringify(found.slice(-5))} is neither of ${JSON.stringify(candidates)}`);
    return rows;
  }

  #ofRun(rows: readonly Row[], run = this.#run): Row[] {
    return rows.filter((row) => row.run === run);
  }

  /** The files, once everything is done that waits to be. */
  async #files(): Promise<Buffer[]> {
    await this.#rowsOf('5s');
    return Promise.all(historyResolution.options.map((each) => readFile(join(this.#directory, each))));
  }

  async #rowsOf(resolution: HistoryResolution): Promise<{ run: number; ageMs: number; value: number }[]> {
    const rows: { run: number; ageMs: number; value: number }[] = [];
    const now = { atMs: this.#atMs + 1_000, wallMs: this.#wallMs + 1_000 };
    for (let from: number | undefined = 0; from !== undefined; ) {
      const page: HistoryPage = (await this.#history.page(
        { resolution, from, metrics: ['memoryAvailableBytes'] },
        () => now,
      ))!;
      const values = page.values.memoryAvailableBytes!;
      rows.push(...page.agesMs.map((ageMs, index) => ({ run: page.runs[index]!, ageMs, value: values[index]! })));
      from = page.next;
    }
    return rows;
  }
  async #valuesOf(resolution: HistoryResolution): Promise<number[]> {
    return (await this.#rowsOf(resolution)).map(({ value }) => value);
  }

  /** A span of this run that goes on is not shown. */
  #expected(resolution: HistoryResolution): Row[] {
    if (resolution === '5s') return this.#fine;
    const minutes = means(this.#ofRun(this.#fine), spansMs['1m']).slice(0, -1);
    if (resolution === '1m') return [...this.#minutes, ...minutes];
    return [...this.#fives, ...means(minutes, spansMs['5m']).slice(0, -1)];
  }

  async #check(): Promise<void> {
    for (const resolution of historyResolution.options) {
      const rows = await this.#rowsOf(resolution);
      const expected = this.#expected(resolution);
      const least = Math.min(expected.length, room[resolution] - this.#run * blockMost);
      assert.ok(rows.length >= least, `${resolution}: ${rows.length} of ${expected.length}`);
      const shown = expected.slice(expected.length - rows.length);
      const plain = (list: readonly Pick<Row, 'run' | 'value'>[]) => list.map(({ run, value }) => `${run} ${value}`);
      assert.deepEqual(plain(rows), plain(shown), resolution);
      for (const [index, { run, ageMs }] of rows.entries()) {
        const next = rows[index + 1];
        if (next === undefined) continue;
        assert.ok(ageMs >= next.ageMs && run <= next.run, 'the older, the older');
        // Inside a run the wall clock says nothing.
        if (run === next.run) assert.equal(ageMs - next.ageMs, shown[index + 1]!.atMs - shown[index]!.atMs);
      }
    }
  }

  async close(): Promise<void> {
    await this.#history.close();
  }
}

function means(rows: readonly Row[], spanMs: number): Row[] {
  const groups = new Map<number, Row[]>();
  for (const row of rows) {
    const span = Math.floor(row.atMs / spanMs);
    groups.set(span, [...(groups.get(span) ?? []), row]);
  }
  return [...groups.values()].map((group) => {
    const samples = group.reduce((sum, row) => sum + row.samples, 0);
    const value = Math.round(group.reduce((sum, row) => sum + row.value * row.samples, 0) / samples);
    return { ...group.at(-1)!, value, samples };
  });
}

function endsWith(rows: readonly Row[], values: readonly number[]): boolean {
  return (
    values.length <= rows.length && values.every((value, at) => rows[rows.length - values.length + at]!.value === value)
  );
}

function same(a: readonly Buffer[], b: readonly Buffer[]): boolean {
  return a.every((bytes, index) => bytes.equals(b[index]!));
}

/** One write made `after` of `before`; its first bytes are there. */
function torn(before: Buffer, after: Buffer, share: number): Buffer {
  if (before.equals(after)) return after;
  let from = 0;
  while (from < before.length && before[from] === after[from]) from += 1;
  let to = after.length;
  while (to <= before.length && before[to - 1] === after[to - 1]) to -= 1;
  const cut = from + Math.round((to - from) * share);
  return Buffer.concat([after.subarray(0, cut), before.subarray(cut)]);
}
