import type { Ledger, LedgerEvent, LedgerTask } from '@foremesh/node-runtime/core';
import type { Blobs } from '../scenario/virtual-jobs.ts';
import { check } from './violation.ts';

/** I4, record by record: whatever was cut, and cut anew, each is in one result that counts, and nothing is merged before all are. */
export class CutChecks {
  readonly #ledger: Ledger;
  readonly #blobs: Blobs;
  /** Of each stage the task that has committed a record, by its number. */
  readonly #records = new Map<string, string[]>();
  readonly #retired = new Set<string>();

  constructor(ledger: Ledger, blobs: Blobs) {
    this.#ledger = ledger;
    this.#blobs = blobs;
  }

  retired({ key, task }: LedgerEvent & { type: 'task-retired' }): void {
    this.#retired.add(`${key}/${task}`);
  }

  isRetired(task: string): boolean {
    return this.#retired.has(task);
  }

  committed({ key, stage, task }: LedgerEvent & { type: 'task-committed' }, ledger: LedgerTask | undefined): void {
    const name = `${key}/${task}`;
    check(!this.#retired.has(name), 'I4', `${name} was split anew, and its result counts`);
    const stageName = `${key}/${stage}`;
    const records = this.#records.get(stageName) ?? [];
    this.#records.set(stageName, records);
    const { firstRecord, records: many } = ledger?.range ?? { firstRecord: 0, records: 0 };
    for (let record = firstRecord; record < firstRecord + many; record += 1) {
      check(records[record] === undefined, 'I4', `record ${record} is in ${name} and in ${records[record]}`);
      records[record] = name;
    }
    const source = ledger?.merges === true ? this.#ledger.jobs.get(key)?.stages.get(stage)?.source : undefined;
    if (source === undefined) return;
    const all = this.#blobs.numbers(source).length;
    const done = records.filter((each) => each !== undefined).length;
    check(done === all, 'I4', `${name} merges ${done} of ${all} records`);
  }
}
