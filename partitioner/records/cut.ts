import type { RecordIndex } from './record-index.ts';

/**
 * Consecutive records. `lines`: the bytes [start, end) are exactly these lines with their newlines. `items`: the bytes
 * hold exactly these elements and, behind the last one, possibly whitespace and the comma: see `itemsSlice`.
 */
export interface RecordPiece {
  /** Bytes from the begin of the input. */
  start: number;
  /** Bytes from the begin of the input, exclusive. */
  end: number;
  firstRecord: number;
  records: number;
}

export interface WeightedPiece extends RecordPiece {
  /** Which of the weights it was cut for; ascending, but empty pieces are left out. */
  weight: number;
}

/**
 * Cuts all records at the marks nearest to the given record numbers (ascending or not, any number of them). The pieces
 * are not empty, follow each other without a gap and hold every record once.
 */
export function cutRecords(index: RecordIndex, targets: readonly number[]): RecordPiece[] {
  const cuts = [...targets].sort((a, b) => a - b).map((target) => nearest(index.records, target, index.totalRecords));
  return pieces(index, cuts).map(({ weight: _, ...piece }) => piece);
}

/**
 * The next pieces of a range, of about so many records each: they end at the marks nearest to that, but hold one mark's records at
 * least, follow each other from the begin of the range, and stop at its end or when the sizes are used up.
 */
export function cutRange(index: RecordIndex, range: RecordPiece, sizes: readonly number[]): RecordPiece[] {
  const { records, offsets } = index;
  const end = range.firstRecord + range.records;
  const found: RecordPiece[] = [];
  let { firstRecord, start } = range;
  for (const size of sizes) {
    if (firstRecord >= end) break;
    let mark = nearest(records, Math.min(end, firstRecord + size), end);
    if (mark < records.length && records[mark]! <= firstRecord) mark += 1; // the one behind it is the next
    const isLast = mark >= records.length || records[mark]! >= end;
    const [next, byte] = isLast ? [end, range.end] : [records[mark]!, offsets[mark]!];
    found.push({ start, end: byte, firstRecord, records: next - firstRecord });
    [firstRecord, start] = [next, byte];
  }
  return found;
}

/**
 * Cuts all records into pieces whose shares follow the weights (0 or more, at least one above 0), as near as the marks
 * allow. `measure` says what is shared: the number of records (unless said) or the bytes.
 *
 * Throws `RangeError` on weights that share nothing out.
 */
export function cutByWeights(
  index: RecordIndex,
  weights: readonly number[],
  measure: 'records' | 'bytes' = 'records',
): WeightedPiece[] {
  let sum = 0;
  for (const weight of weights) {
    if (!(weight >= 0 && weight < Number.POSITIVE_INFINITY)) throw new RangeError(`not a weight: ${weight}`);
    sum += weight;
  }
  if (index.totalRecords === 0) return [];
  if (!(sum > 0 && sum < Number.POSITIVE_INFINITY)) throw new RangeError('weights must have a finite sum above 0');
  const places = measure === 'records' ? index.records : index.offsets;
  const from = places[0]!;
  const to = measure === 'records' ? index.totalRecords : index.endOffset;
  const lastWeighted = weights.findLastIndex((weight) => weight > 0);
  const cuts: number[] = [];
  let before = 0;
  for (let i = 0; i + 1 < weights.length; i++) {
    before += weights[i]!;
    // Behind the last weight above 0 nothing is left to share: rounding must not leave a record there.
    const share = i >= lastWeighted ? 1 : Math.min(1, before / sum);
    cuts.push(share === 1 ? places.length : nearest(places, from + (to - from) * share, to));
  }
  return pieces(index, cuts);
}

/**
 * The bytes of an `items` piece without leading whitespace and without the whitespace and comma behind the last element:
 * `[` + slice + `]` is a JSON array of exactly the piece's records. A view, nothing is copied.
 */
export function itemsSlice(bytes: Uint8Array): Uint8Array {
  let start = 0;
  let end = bytes.length;
  while (start < end && isSpace(bytes[start]!)) start++;
  while (end > start && isSpace(bytes[end - 1]!)) end--;
  if (end > start && bytes[end - 1] === 0x2c) end--;
  while (end > start && isSpace(bytes[end - 1]!)) end--;
  return bytes.subarray(start, end);
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** The number of the mark whose place is nearest to the target; `places.length` stands for the end. */
function nearest(places: readonly number[], target: number, end: number): number {
  let low = 0;
  let high = places.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (places[middle]! < target) low = middle + 1;
    else high = middle;
  }
  if (low === 0) return 0;
  const above = low < places.length ? places[low]! : end;
  return target - places[low - 1]! < above - target ? low - 1 : low;
}

/** `cuts` are ascending mark numbers; piece i lies before cut i, the last behind all. */
function pieces(index: RecordIndex, cuts: readonly number[]): WeightedPiece[] {
  const { records, offsets, totalRecords, endOffset } = index;
  const found: WeightedPiece[] = [];
  let from = 0;
  for (let weight = 0; weight <= cuts.length; weight++) {
    const to = weight === cuts.length ? records.length : cuts[weight]!;
    if (to <= from) continue;
    const firstRecord = records[from]!;
    const last = to === records.length;
    found.push({
      start: offsets[from]!,
      end: last ? endOffset : offsets[to]!,
      firstRecord,
      records: (last ? totalRecords : records[to]!) - firstRecord,
      weight,
    });
    from = to;
  }
  return found;
}
