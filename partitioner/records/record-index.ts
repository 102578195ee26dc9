/**
 * How bytes become records: `lines` end at \n, \r\n or a lone \r; `items` are the elements of a top-level JSON array; `files`
 * are those of a tar archive; `bytes` are blocks of one size.
 */
export type SplitBy = 'lines' | 'items' | 'files' | 'bytes';

/**
 * Some places where a record begins. `offsets[i]` is the byte at which record number `records[i]` begins; both ascend,
 * and the first record is always among them (none when there are no records).
 *
 * `endOffset` is where the last record ends: for `lines` behind its newline (the size of the input), for `items` behind
 * the last byte of the last element (before whitespace and `]`), for `files` behind the last one's padding; 0 when there are
 * no records.
 */
export interface RecordIndex {
  by: SplitBy;
  totalRecords: number;
  /** Bytes from the begin of the input. */
  endOffset: number;
  records: number[];
  /** Bytes from the begin of the input. */
  offsets: number[];
}

/** Input that cannot be read as records. `malformed`: it is not what `by` says. `too-large`: a record passes the limit. */
export class RecordsError extends Error {
  readonly kind: 'malformed' | 'too-large';
  /** The byte, from the begin of the input, at which it was found. */
  readonly offset: number;

  constructor(kind: 'malformed' | 'too-large', offset: number, message: string) {
    super(`byte ${offset}: ${message}`);
    this.name = 'RecordsError';
    this.kind = kind;
    this.offset = offset;
  }
}

/** What is wrong with an index that came from elsewhere; undefined when it is sound. */
export function recordIndexProblem(index: RecordIndex): string | undefined {
  const { records, offsets, totalRecords, endOffset } = index;
  if (records.length !== offsets.length) return `${records.length} records but ${offsets.length} offsets`;
  if (totalRecords === 0) return records.length === 0 ? undefined : 'marks without records';
  if (records[0] !== 0) return 'the first record has no mark';
  for (let i = 0; i < records.length; i++) {
    if (!Number.isSafeInteger(records[i]) || !Number.isSafeInteger(offsets[i]) || offsets[i]! < 0) {
      return `mark ${i} is not a pair of counts`;
    }
    if (i > 0 && (records[i]! <= records[i - 1]! || offsets[i]! <= offsets[i - 1]!)) return `mark ${i} does not ascend`;
  }
  if (records.at(-1)! >= totalRecords) return 'a mark lies behind the last record';
  if (offsets.at(-1)! >= endOffset) return 'a mark lies behind the end';
  return undefined;
}
