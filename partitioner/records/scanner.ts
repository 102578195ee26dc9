import { FilesScanner } from './files-scanner.ts';
import { ItemsScanner } from './items-scanner.ts';
import { LinesScanner } from './lines-scanner.ts';
import type { RecordIndex, SplitBy } from './record-index.ts';

export interface RecordScannerOptions {
  /** Most marks of the index; 4096 unless said. */
  readonly maxMarks?: number;
  /** Most bytes of one record (a line without its newline, an element); no limit unless said. */
  readonly maxRecordBytes?: number;
}

/** Reads a stream of bytes once, in pieces of any size, and remembers where records begin. */
export interface RecordScanner {
  /** The next bytes. They are not kept. Throws `RecordsError`; the scanner is of no use afterwards. */
  push(chunk: Uint8Array): void;
  /** The input has ended. Throws `RecordsError` when it ended too early. */
  finish(): RecordIndex;
}

export function createRecordScanner(by: Exclude<SplitBy, 'bytes'>, options: RecordScannerOptions = {}): RecordScanner {
  const maxMarks = options.maxMarks ?? 4_096;
  const maxRecordBytes = options.maxRecordBytes ?? Number.POSITIVE_INFINITY;
  if (by === 'files') return new FilesScanner(maxMarks, maxRecordBytes);
  return by === 'lines' ? new LinesScanner(maxMarks, maxRecordBytes) : new ItemsScanner(maxMarks, maxRecordBytes);
}
