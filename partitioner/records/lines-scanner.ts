import { MarkList } from './mark-list.ts';
import { type RecordIndex, RecordsError } from './record-index.ts';

const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/**
 * Lines: each ends at \n, \r\n or a lone \r, the last one also at the end of the input. Bytes of a multi-byte character
 * are never \n or \r in UTF-8, so no character is cut.
 */
export class LinesScanner {
  private readonly marks: MarkList;
  private readonly maxRecordBytes: number;
  private offset = 0;
  /** Where the open line begins; -1 between lines. */
  private begin = -1;
  /** The last byte was \r: a \n that follows belongs to it. */
  private afterReturn = false;

  constructor(maxMarks: number, maxRecordBytes: number) {
    this.marks = new MarkList(maxMarks);
    this.maxRecordBytes = maxRecordBytes;
  }

  push(chunk: Uint8Array): void {
    const base = this.offset;
    const length = chunk.length;
    if (length === 0) return;
    let begin = this.begin;
    let i = 0;
    if (this.afterReturn) {
      if (chunk[0] === lineFeed) i = 1;
      begin = -1;
      this.afterReturn = false;
    }
    while (i < length) {
      if (begin < 0) {
        begin = base + i;
        this.marks.add(begin);
      }
      let byte = 0;
      while (i < length) {
        byte = chunk[i]!;
        if (byte <= carriageReturn && (byte === lineFeed || byte === carriageReturn)) break;
        i++;
      }
      this.checkSize(begin, base + i);
      if (i === length) break;
      i++;
      if (byte === carriageReturn) {
        if (i === length) {
          this.afterReturn = true;
          break;
        }
        if (chunk[i] === lineFeed) i++;
      }
      begin = -1;
    }
    this.begin = begin;
    this.offset = base + length;
  }

  finish(): RecordIndex {
    const { records, offsets, count } = this.marks;
    return { by: 'lines', totalRecords: count, endOffset: this.offset, records, offsets };
  }

  private checkSize(begin: number, end: number): void {
    if (end - begin > this.maxRecordBytes) {
      throw new RecordsError(
        'too-large',
        begin,
        `the line that begins here has more than ${this.maxRecordBytes} bytes`,
      );
    }
  }
}
