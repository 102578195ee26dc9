import { MarkList } from './mark-list.ts';
import { type RecordIndex, RecordsError } from './record-index.ts';

/** Arrays and objects inside each other. */
const maxDepth = 1_024;

// States. The order matters: numberZero to numberExponent are the ones in which a number may be complete or not, and
// everything from `string` on is inside a token.
const before = 0;
const firstValue = 1;
const value = 2;
const afterValue = 3;
const firstKey = 4;
const key = 5;
const colon = 6;
const behind = 7;
const string = 8;
const escaped = 9;
const hex = 10;
const literal = 11;
const minus = 12;
const zero = 13;
const integer = 14;
const point = 15;
const fraction = 16;
const exponent = 17;
const exponentSign = 18;
const exponentDigits = 19;

const expectations: Record<number, string> = {
  [before]: 'a JSON array: "["',
  [firstValue]: 'a value or "]"',
  [value]: 'a value',
  [firstKey]: 'a key in double quotes or "}"',
  [key]: 'a key in double quotes',
  [colon]: '":" behind the key',
  [behind]: 'nothing but whitespace behind the array',
  [string]: 'the end of the string, no control character',
  [escaped]: 'one of "\\/bfnrtu behind the backslash',
  [hex]: 'four hexadecimal digits',
  [minus]: 'a digit',
  [point]: 'a digit behind the point',
  [exponent]: 'a sign or a digit in the exponent',
  [exponentSign]: 'a digit in the exponent',
};

const quote = 0x22;
const backslash = 0x5c;
const bom = [0xef, 0xbb, 0xbf];
const literals: Record<number, string> = { 116: 'true', 102: 'false', 110: 'null' };

const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;
const isHex = (byte: number): boolean =>
  isDigit(byte) || (byte >= 0x61 && byte <= 0x66) || (byte >= 0x41 && byte <= 0x46);
const isEscape = (byte: number): boolean => byte < 0x80 && '"\\/bfnrt'.includes(String.fromCharCode(byte));

/**
 * The elements of a top-level JSON array (RFC 8259; UTF-8, a byte order mark is skipped). Checks the whole grammar, so
 * that what it accepts, `JSON.parse` accepts; that strings are valid UTF-8 it does not check.
 */
export class ItemsScanner {
  private readonly marks: MarkList;
  private readonly maxRecordBytes: number;
  private offset = 0;
  private state = before;
  /** 1 for an object, 0 for an array, per level; level 0 is the top-level array. */
  private readonly levels = new Uint8Array(maxDepth);
  private depth = 0;
  /** Where the open element begins; -1 between elements. */
  private begin = -1;
  private endOffset = 0;
  private inKey = false;
  private word = '';
  /** Characters of the literal, hexadecimal digits, or bytes of the byte order mark, that have been read. */
  private read = 0;

  constructor(maxMarks: number, maxRecordBytes: number) {
    this.marks = new MarkList(maxMarks);
    this.maxRecordBytes = maxRecordBytes;
  }

  push(chunk: Uint8Array): void {
    const base = this.offset;
    const length = chunk.length;
    let i = 0;
    while (i < length) {
      const byte = chunk[i]!;
      switch (this.state) {
        case string:
          i = this.scanString(chunk, i);
          continue;
        case zero:
        case integer:
        case fraction:
        case exponentDigits:
          if (this.inNumber(byte)) break;
          // The number ended before this byte, which is looked at again.
          this.endValue(base + i);
          continue;
        case minus:
        case point:
        case exponent:
        case exponentSign:
          if (!this.inNumber(byte)) this.fail(base + i, byte);
          break;
        case escaped:
          if (byte === 0x75) {
            this.state = hex;
            this.read = 0;
          } else if (isEscape(byte)) this.state = string;
          else this.fail(base + i, byte);
          break;
        case hex:
          if (!isHex(byte)) this.fail(base + i, byte);
          if (++this.read === 4) this.state = string;
          break;
        case literal:
          if (byte !== this.word.charCodeAt(this.read)) this.fail(base + i, byte);
          if (++this.read === this.word.length) this.endValue(base + i + 1);
          break;
        default:
          if (!isSpace(byte) || (this.state === before && this.read > 0 && this.read < 3)) {
            this.structure(byte, base + i);
          }
      }
      i++;
    }
    this.offset = base + length;
    if (this.begin >= 0) this.checkSize(this.offset);
  }

  finish(): RecordIndex {
    if (this.state !== behind) this.fail(this.offset, -1);
    const { records, offsets, count } = this.marks;
    return { by: 'items', totalRecords: count, endOffset: this.endOffset, records, offsets };
  }

  /** Inside a string: to its end, an escape or the end of the chunk. Returns the next byte to look at. */
  private scanString(chunk: Uint8Array, from: number): number {
    const length = chunk.length;
    for (let i = from; i < length; i++) {
      const byte = chunk[i]!;
      if (byte === quote) {
        if (this.inKey) {
          this.inKey = false;
          this.state = colon;
        } else this.endValue(this.offset + i + 1);
        return i + 1;
      }
      if (byte === backslash) {
        this.state = escaped;
        return i + 1;
      }
      if (byte < 0x20) this.fail(this.offset + i, byte);
    }
    return length;
  }

  /** One more byte of a number: true and the next state, or false. */
  private inNumber(byte: number): boolean {
    const state = this.state;
    if (isDigit(byte)) {
      if (state === zero) return false;
      if (state === minus) this.state = byte === 0x30 ? zero : integer;
      else if (state === point) this.state = fraction;
      else if (state === exponent || state === exponentSign) this.state = exponentDigits;
      return true;
    }
    if (byte === 0x2e) {
      if (state !== zero && state !== integer) return false;
      this.state = point;
      return true;
    }
    if (byte === 0x65 || byte === 0x45) {
      if (state !== zero && state !== integer && state !== fraction) return false;
      this.state = exponent;
      return true;
    }
    if ((byte === 0x2b || byte === 0x2d) && state === exponent) {
      this.state = exponentSign;
      return true;
    }
    return false;
  }

  /** A byte that is no whitespace, between tokens. */
  private structure(byte: number, at: number): void {
    const state = this.state;
    if (state === afterValue) {
      const inObject = this.levels[this.depth - 1] === 1;
      if (byte === 0x2c) this.state = inObject ? key : value;
      else if (byte === (inObject ? 0x7d : 0x5d)) this.close(at);
      else this.fail(at, byte);
    } else if (state === value || state === firstValue) {
      if (state === firstValue && byte === 0x5d) this.close(at);
      else this.beginValue(byte, at);
    } else if (state === key || state === firstKey) {
      if (byte === quote) {
        this.inKey = true;
        this.state = string;
      } else if (state === firstKey && byte === 0x7d) this.close(at);
      else this.fail(at, byte);
    } else if (state === colon && byte === 0x3a) this.state = value;
    else if (state === before && byte === 0x5b && (this.read === 0 || this.read === 3)) this.open(0, at);
    else if (state === before && at === this.read && byte === bom[this.read]) this.read++;
    else this.fail(at, byte);
  }

  private beginValue(byte: number, at: number): void {
    const isItem = this.depth === 1;
    if (byte === quote) this.state = string;
    else if (byte === 0x7b) this.open(1, at);
    else if (byte === 0x5b) this.open(0, at);
    else if (byte === 0x2d) this.state = minus;
    else if (byte === 0x30) this.state = zero;
    else if (isDigit(byte)) this.state = integer;
    else if (literals[byte] !== undefined) {
      this.word = literals[byte];
      this.read = 1;
      this.state = literal;
    } else this.fail(at, byte);
    if (isItem) {
      this.begin = at;
      this.marks.add(at);
    }
  }

  private open(kind: 0 | 1, at: number): void {
    if (this.depth === maxDepth) throw new RecordsError('malformed', at, `nested deeper than ${maxDepth} levels`);
    this.levels[this.depth++] = kind;
    this.state = kind === 1 ? firstKey : firstValue;
  }

  private close(at: number): void {
    this.depth--;
    if (this.depth === 0) this.state = behind;
    else this.endValue(at + 1);
  }

  private endValue(end: number): void {
    this.state = afterValue;
    if (this.depth !== 1) return;
    this.endOffset = end;
    this.checkSize(end);
    this.begin = -1;
  }

  private checkSize(end: number): void {
    if (end - this.begin > this.maxRecordBytes) {
      throw new RecordsError(
        'too-large',
        this.begin,
        `item ${this.marks.count - 1} begins here and has more than ${this.maxRecordBytes} bytes`,
      );
    }
  }

  private fail(at: number, byte: number): never {
    let expected = expectations[this.state];
    if (this.state === afterValue) expected = this.levels[this.depth - 1] === 1 ? '"," or "}"' : '"," or "]"';
    else if (this.state === literal) expected = `"${this.word}"`;
    else if (expected === undefined) expected = 'the rest of the array';
    let found = 'the end of the input';
    if (byte > 0x20 && byte < 0x7f) found = `"${String.fromCharCode(byte)}"`;
    else if (byte >= 0) found = `byte 0x${byte.toString(16).padStart(2, '0')}`;
    const where = this.begin >= 0 ? ` (in item ${this.marks.count - 1})` : '';
    throw new RecordsError('malformed', at, `expected ${expected}, found ${found}${where}`);
  }
}
