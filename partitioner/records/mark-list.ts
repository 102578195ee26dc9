/**
 * Keeps at most `maxMarks` evenly spread record begins of a stream whose length is not known: it keeps every record,
 * and each time it is full it drops every second mark and doubles the stride.
 */
export class MarkList {
  readonly records: number[] = [];
  readonly offsets: number[] = [];
  count = 0;
  private stride = 1;
  private next = 0;
  private readonly maxMarks: number;

  constructor(maxMarks: number) {
    if (!Number.isSafeInteger(maxMarks) || maxMarks < 1)
      throw new RangeError(`maxMarks must be 1 or more: ${maxMarks}`);
    this.maxMarks = maxMarks;
  }

  /** The next record begins at this byte. */
  add(offset: number): void {
    if (this.count === this.next) {
      if (this.records.length === this.maxMarks) this.thin();
      if (this.count === this.next) {
        this.records.push(this.count);
        this.offsets.push(offset);
        this.next += this.stride;
      }
    }
    this.count++;
  }

  private thin(): void {
    const kept = Math.ceil(this.records.length / 2);
    for (let i = 1; i < kept; i++) {
      this.records[i] = this.records[2 * i]!;
      this.offsets[i] = this.offsets[2 * i]!;
    }
    this.records.length = kept;
    this.offsets.length = kept;
    this.stride *= 2;
    this.next = kept * this.stride;
  }
}
