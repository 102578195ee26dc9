import type { HistoryMetric } from '../../contract/index.ts';

/** One sample of the history, or the mean of several. */
export interface HistoryRecord {
  /** The run of the runtime; grows from one to the next. */
  readonly run: number;
  /** When the sample ended: milliseconds since the run began, by a clock that does not jump. Whole. */
  readonly atMs: number;
  /** The wall clock then: a label, never compared to put anything in order. */
  readonly wallMs: number;
  /** How many samples it is the mean of. */
  readonly samples: number;
  /** What the machine did not tell is left out. */
  readonly values: HistoryValues;
}
export type HistoryValues = { readonly [metric in HistoryMetric]?: number | undefined };

interface Field {
  readonly metric: HistoryMetric;
  /** Of several samples the highest is kept, not the mean. */
  readonly most?: true;
  readonly encode: (value: number) => number;
  readonly decode: (code: number) => number;
}

/** The highest code of two bytes says that there is no value. */
const none = 0xff_ff;
const codeMost = none - 1;

const share = { encode: (value: number) => value * codeMost, decode: (code: number) => code / codeMost };
/** Up to 2,047 as it is, above with an error of at most a two-thousandth, and up to 2^73. Grows with the value. */
const size = {
  encode(value: number) {
    const exponent = Math.max(0, Math.floor(Math.log2(Math.max(1, value))) - 10);
    // Rounded up to the next power of two it is the code that follows, which stands for just that.
    return exponent * 1_024 + Math.round(value / 2 ** exponent);
  },
  decode(code: number) {
    const exponent = Math.max(0, Math.floor(code / 1_024) - 1);
    return (code - exponent * 1_024) * 2 ** exponent;
  },
};
/** Tenths of a degree from -200 on. */
const celsius = {
  encode: (value: number) => (value + 200) * 10,
  decode: (code: number) => code / 10 - 200,
};
const flag = { encode: (value: number) => value, decode: (code: number) => code };

/** What stands in a record, in this order, two bytes each. Another order needs another `magic` in block.ts. */
export const fields: readonly Field[] = [
  { metric: 'cpuShare', ...share },
  { metric: 'cpuShareMost', most: true, ...share },
  { metric: 'cpuBackgroundShare', ...share },
  { metric: 'cpuBackgroundShareMost', most: true, ...share },
  { metric: 'memoryAvailableBytes', ...size },
  { metric: 'memoryMeshBytes', ...size },
  { metric: 'networkReceivedBytesPerSecond', ...size },
  { metric: 'networkSentBytesPerSecond', ...size },
  { metric: 'diskFreeBytes', ...size },
  { metric: 'diskTotalBytes', ...size },
  { metric: 'temperatureCelsius', ...celsius },
  { metric: 'isThrottled', most: true, ...flag },
];

/** Milliseconds since the block began, how many samples, and the values. */
export const recordBytes = 4 + 2 + 2 * fields.length;
const samplesMost = 0xff_ff;
/** A block is never longer than this. */
export const blockMsMost = 0xff_ff_ff_ff;

export function writeRecord(bytes: Buffer, at: number, record: HistoryRecord, blockAtMs: number): void {
  bytes.writeUInt32LE(record.atMs - blockAtMs, at);
  bytes.writeUInt16LE(Math.min(samplesMost, record.samples), at + 4);
  for (const [index, { metric, encode }] of fields.entries()) {
    const value = record.values[metric];
    const code = value === undefined || !Number.isFinite(value) ? none : clamp(encode(value));
    bytes.writeUInt16LE(code, at + 6 + 2 * index);
  }
}

export function readRecord(bytes: Buffer, at: number): Pick<HistoryRecord, 'samples' | 'values'> & { afterMs: number } {
  const values: Partial<Record<HistoryMetric, number>> = {};
  for (const [index, { metric, decode }] of fields.entries()) {
    const code = bytes.readUInt16LE(at + 6 + 2 * index);
    if (code !== none) values[metric] = decode(code);
  }
  return { afterMs: bytes.readUInt32LE(at), samples: bytes.readUInt16LE(at + 4), values };
}

/** As it will be read back, so that what is in memory and what was on disk are the same. */
export function rounded(record: HistoryRecord): HistoryRecord {
  const bytes = Buffer.alloc(recordBytes);
  const atMs = Math.max(0, Math.round(record.atMs));
  writeRecord(bytes, 0, { ...record, atMs }, atMs);
  const { samples, values } = readRecord(bytes, 0);
  return { run: record.run, atMs, wallMs: record.wallMs, samples, values };
}

function clamp(code: number): number {
  return Math.min(codeMost, Math.max(0, Math.round(code)));
}
