import type { RecordIndex } from './record-index.ts';

/** The index of an input that is cut every `blockBytes` bytes, whatever is in it: nobody has to read it. */
export function blockIndex(sizeBytes: number, blockBytes: number): RecordIndex {
  if (!(Number.isSafeInteger(blockBytes) && blockBytes > 0)) throw new RangeError(`not a size: ${blockBytes}`);
  const totalRecords = Math.ceil(sizeBytes / blockBytes);
  const records = Array.from({ length: totalRecords }, (_, block) => block);
  return {
    by: 'bytes',
    totalRecords,
    endOffset: sizeBytes,
    records,
    offsets: records.map((block) => block * blockBytes),
  };
}
