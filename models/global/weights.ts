/** What is known of the parameters of a global model without looking at them. */
export interface WeightsHeader {
  readonly model: string;
  /** Of the model's layout: parameters of another layout mean something else. */
  readonly version: number;
  readonly lags: number;
  readonly steps: number;
  readonly intervalMs: number;
  readonly trainedOn: TrainedOn;
}

export interface TrainedOn {
  readonly series: number;
  /** Windows that were there to be learned from. */
  readonly windows: number;
}

/** The parameters of a global model: plain data, and bytes by `encodeWeights`. */
export interface Weights extends WeightsHeader {
  readonly parameters: Float32Array;
}

/** Why bytes are no weights that can be used here. */
export type WeightsFault = 'foreign' | 'future' | 'truncated' | 'corrupt' | 'other-model';

export class WeightsError extends Error {
  readonly fault: WeightsFault;

  constructor(fault: WeightsFault, message: string) {
    super(message);
    this.name = 'WeightsError';
    this.fault = fault;
  }
}

const magic = 0x46_4d_47_57; // FMGW
const formatVersion = 1;
/** Magic, format version, size of the header, checksum of what follows, number of parameters: 4 bytes each. */
const prefixBytes = 20;
const parametersMost = 4_000_000;
const headerBytesMost = 4_096;

/** Prefix, header as JSON in ASCII, parameters as 32-bit floats; all numbers little-endian but the magic. */
export function encodeWeights({ parameters, ...header }: Weights): Uint8Array {
  const text = JSON.stringify(header);
  const bytes = new Uint8Array(prefixBytes + text.length + parameters.length * 4);
  const view = new DataView(bytes.buffer);
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code > 127) throw new RangeError(`the name of a model is plain ASCII, not ${header.model}`);
    bytes[prefixBytes + index] = code;
  }
  const start = prefixBytes + text.length;
  for (let index = 0; index < parameters.length; index += 1)
    view.setFloat32(start + 4 * index, parameters[index]!, true);
  view.setUint32(0, magic);
  view.setUint32(4, formatVersion, true);
  view.setUint32(8, text.length, true);
  view.setUint32(12, checksum(bytes.subarray(prefixBytes)), true);
  view.setUint32(16, parameters.length, true);
  return bytes;
}

/** Throws a `WeightsError` for bytes that are cut, changed, of a later format or something else altogether. */
export function decodeWeights(bytes: Uint8Array): Weights {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4 || view.getUint32(0) !== magic) throw new WeightsError('foreign', 'these are no model weights');
  if (bytes.length < prefixBytes) throw cut(bytes.length, prefixBytes);
  const format = view.getUint32(4, true);
  if (format !== formatVersion)
    throw new WeightsError('future', `weights in format ${format}, this version reads ${formatVersion}`);
  const headerBytes = view.getUint32(8, true);
  const count = view.getUint32(16, true);
  if (headerBytes > headerBytesMost || count > parametersMost)
    throw new WeightsError('corrupt', `weights with a header of ${headerBytes} bytes and ${count} parameters`);
  const start = prefixBytes + headerBytes;
  const end = start + 4 * count;
  if (bytes.length < end) throw cut(bytes.length, end);
  if (bytes.length > end || checksum(bytes.subarray(prefixBytes)) !== view.getUint32(12, true))
    throw new WeightsError('corrupt', 'the checksum of these weights does not fit');
  const header = readHeader(bytes.subarray(prefixBytes, start));
  const parameters = Float32Array.from({ length: count }, (_, index) => view.getFloat32(start + 4 * index, true));
  if (!parameters.every(Number.isFinite)) throw new WeightsError('corrupt', 'weights that are no finite numbers');
  return { ...header, parameters };
}

/** Throws a `WeightsError` unless the weights are those of a model in this layout. */
export function expectWeightsOf(model: string, version: number, weights: WeightsHeader): void {
  if (weights.model !== model) throw new WeightsError('other-model', `weights of ${weights.model}, not of ${model}`);
  if (weights.version === version) return;
  const fault = weights.version > version ? 'future' : 'other-model';
  throw new WeightsError(fault, `weights of ${model} version ${weights.version}, this version reads ${version}`);
}

function cut(found: number, needed: number): WeightsError {
  return new WeightsError('truncated', `${found} of ${needed} bytes of weights`);
}

function readHeader(bytes: Uint8Array): WeightsHeader {
  try {
    const { model, version, lags, steps, intervalMs, trainedOn } = JSON.parse(String.fromCharCode(...bytes));
    const { series, windows } = trainedOn;
    const counts = [version, lags, steps, intervalMs];
    if (typeof model === 'string' && counts.every(isCount) && isCount(series) && isCount(windows))
      return { model, version, lags, steps, intervalMs, trainedOn: { series, windows } };
  } catch {
    // Said below: whatever is wrong with it.
  }
  throw new WeightsError('corrupt', 'the header of these weights cannot be read');
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

/** CRC-32 (ISO 3309, polynomial 0xEDB88320): finds what disks and wires do, not what an enemy does. */
function checksum(bytes: Uint8Array): number {
  let crc = 0xff_ff_ff_ff;
  for (const byte of bytes) crc = (crc >>> 8) ^ table[(crc ^ byte) & 0xff]!;
  return (crc ^ 0xff_ff_ff_ff) >>> 0;
}

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xed_b8_83_20 : crc >>> 1;
  return crc;
});
