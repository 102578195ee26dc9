import { MarkList } from './mark-list.ts';
import { type RecordIndex, RecordsError } from './record-index.ts';
import { paddedBytes, parseTarHeader, tarBlockBytes } from './tar.ts';

/**
 * Files of a tar archive. A record begins with the first header that belongs to a file; folders, links and what stands
 * between files are no records.
 */
export class FilesScanner {
  private readonly marks: MarkList;
  private readonly maxRecordBytes: number;
  private readonly header = new Uint8Array(tarBlockBytes);
  private headerFilled = 0;
  /** Bytes of content and padding that are still to pass. */
  private toSkip = 0;
  private offset = 0;
  /** Where the headers that name the next file begin; -1 when there are none. */
  private namesAt = -1;
  private endOffset = 0;
  private over = false;

  constructor(maxMarks: number, maxRecordBytes: number) {
    this.marks = new MarkList(maxMarks);
    this.maxRecordBytes = maxRecordBytes;
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length && !this.over) {
      const passed =
        this.toSkip > 0
          ? Math.min(this.toSkip, chunk.length - at)
          : Math.min(tarBlockBytes - this.headerFilled, chunk.length - at);
      if (this.toSkip > 0) this.toSkip -= passed;
      else {
        this.header.set(chunk.subarray(at, at + passed), this.headerFilled);
        this.headerFilled += passed;
      }
      at += passed;
      this.offset += passed;
      if (this.headerFilled === tarBlockBytes) this.takeHeader();
    }
  }

  finish(): RecordIndex {
    if (!this.over && (this.toSkip > 0 || this.headerFilled > 0)) {
      throw new RecordsError('malformed', this.offset, 'the archive ends within a file');
    }
    const { records, offsets, count } = this.marks;
    return { by: 'files', totalRecords: count, endOffset: this.endOffset, records, offsets };
  }

  private takeHeader(): void {
    this.headerFilled = 0;
    const begin = this.offset - tarBlockBytes;
    let header: ReturnType<typeof parseTarHeader>;
    try {
      header = parseTarHeader(this.header);
    } catch (error) {
      throw new RecordsError('malformed', begin, `expected a file of a tar archive: ${(error as Error).message}`);
    }
    if (header === undefined) {
      this.over = true;
      return;
    }
    const { kind, name, sizeBytes } = header;
    this.toSkip = paddedBytes(sizeBytes);
    if (kind === 'pax-names' || kind === 'gnu-names') {
      if (this.namesAt < 0) this.namesAt = begin;
      return;
    }
    if (kind === 'file') {
      if (sizeBytes > this.maxRecordBytes) {
        throw new RecordsError('too-large', begin, `the file ${name} has more than ${this.maxRecordBytes} bytes`);
      }
      this.marks.add(this.namesAt < 0 ? begin : this.namesAt);
      this.endOffset = this.offset + this.toSkip;
    }
    this.namesAt = -1;
  }
}
