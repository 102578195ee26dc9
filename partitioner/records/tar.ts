/**
 * The parts of the tar format (POSIX.1-2017, pax: ustar headers) that a collection of files needs. A file's record is its
 * headers, its bytes and their padding to whole blocks, so that records that follow each other are an archive again.
 */
export const tarBlockBytes = 512;

export interface TarHeader {
  readonly name: string;
  /** Of the content behind the header, without its padding. */
  readonly sizeBytes: number;
  /** `names`: the content names the file that follows (`pax` or GNU's way). `other`: a folder, a link and the like. */
  readonly kind: 'file' | 'pax-names' | 'gnu-names' | 'other';
}

export interface TarFile {
  readonly name: string;
  /** Where its bytes begin. */
  readonly start: number;
  readonly sizeBytes: number;
}

const nameBytes = 100;
const prefixBytes = 155;
const checksumAt = 148;
const checksumBytes = 8;

/** Content with its padding. */
export function paddedBytes(sizeBytes: number): number {
  return Math.ceil(sizeBytes / tarBlockBytes) * tarBlockBytes;
}

/** One header block; undefined for the block of zeros that ends an archive. Throws `RangeError` on what is no header. */
export function parseTarHeader(block: Uint8Array): TarHeader | undefined {
  if (block.length < tarBlockBytes) throw new RangeError('the archive ends within a header');
  if (block.every((byte) => byte === 0)) return undefined;
  if (checksumOf(block) !== octal(block, checksumAt, checksumBytes)) throw new RangeError('this is no header of tar');
  const sizeBytes = octal(block, 124, 12);
  if (sizeBytes === undefined) throw new RangeError('the size in this header is no octal number');
  const isUstar = text(block, 257, 5) === 'ustar';
  const prefix = isUstar && text(block, 257, 8) !== 'ustar  ' ? text(block, 345, prefixBytes) : '';
  const name = text(block, 0, nameBytes);
  const type = String.fromCharCode(block[156]!);
  return { name: prefix === '' ? name : `${prefix}/${name}`, sizeBytes, kind: kindOf(type) };
}

function kindOf(type: string): TarHeader['kind'] {
  if (type === '0' || type === '\0' || type === '7') return 'file';
  if (type === 'x') return 'pax-names';
  return type === 'L' ? 'gnu-names' : 'other';
}

/** Every file of an archive, in order. Throws `RangeError` on bytes that are none. */
export function* tarFiles(bytes: Uint8Array): Generator<TarFile, void, undefined> {
  let at = 0;
  let longName: string | undefined;
  while (at < bytes.length) {
    const header = parseTarHeader(bytes.subarray(at, at + tarBlockBytes));
    if (header === undefined) return;
    const start = at + tarBlockBytes;
    const { kind, sizeBytes } = header;
    if (start + sizeBytes > bytes.length) throw new RangeError('the archive ends within a file');
    if (kind === 'pax-names') longName = paxPath(bytes.subarray(start, start + sizeBytes)) ?? longName;
    else if (kind === 'gnu-names') longName = text(bytes, start, sizeBytes);
    else {
      if (kind === 'file') yield { name: longName ?? header.name, start, sizeBytes };
      longName = undefined;
    }
    at = start + paddedBytes(sizeBytes);
  }
}

/**
 * The header of a file: the same name and size always give the same bytes. Throws `RangeError` when the name (UTF-8) does
 * not fit: 100 bytes, or 255 where a slash divides it.
 */
export function tarHeader(name: string, sizeBytes: number): Uint8Array {
  const encoded = new TextEncoder().encode(name);
  if (encoded.length === 0 || encoded.includes(0)) throw new RangeError('a file needs a name without NUL');
  let cut = 0;
  if (encoded.length > nameBytes) {
    cut = encoded.findIndex((byte, at) => byte === 0x2f && encoded.length - at - 1 <= nameBytes);
    if (cut < 1 || cut > prefixBytes || cut + 1 === encoded.length) {
      throw new RangeError(`the name "${name}" is too long for tar: 100 bytes, or 255 with a slash in it`);
    }
  }
  const block = new Uint8Array(tarBlockBytes);
  const put = (value: string, at: number) => block.set(new TextEncoder().encode(value), at);
  block.set(cut === 0 ? encoded : encoded.subarray(cut + 1), 0);
  if (cut > 0) block.set(encoded.subarray(0, cut), 345);
  put('0000644\0', 100);
  put('0000000\0', 108);
  put('0000000\0', 116);
  put(`${sizeBytes.toString(8).padStart(11, '0')}\0`, 124);
  put('00000000000\0', 136);
  put('0', 156);
  put('ustar\x0000', 257);
  put(`${checksumOf(block).toString(8).padStart(6, '0')}\0 `, checksumAt);
  return block;
}

/** The sum of all bytes, those of the checksum itself counted as spaces. */
function checksumOf(block: Uint8Array): number {
  let sum = 0x20 * checksumBytes;
  for (let at = 0; at < tarBlockBytes; at++) {
    if (at < checksumAt || at >= checksumAt + checksumBytes) sum += block[at]!;
  }
  return sum;
}

function text(bytes: Uint8Array, at: number, length: number): string {
  const field = bytes.subarray(at, at + length);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}

function octal(bytes: Uint8Array, at: number, length: number): number | undefined {
  const digits = text(bytes, at, length).trim();
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : undefined;
}

/** `path` of a pax header: records "<length> <key>=<value>\n", the length in bytes of all of it. */
function paxPath(bytes: Uint8Array): string | undefined {
  let at = 0;
  let path: string | undefined;
  while (at < bytes.length) {
    const [, digits] = /^(\d{1,9}) /.exec(text(bytes, at, 10)) ?? [];
    const length = Number(digits);
    if (digits === undefined || length <= digits.length + 1) return path;
    const [, value] = /^path=(.*)\n$/s.exec(text(bytes, at + digits.length + 1, length - digits.length - 1)) ?? [];
    path = value ?? path;
    at += length;
  }
  return path;
}
