import { BinaryError, type BinaryReader } from './binary.ts';

/** What the meter has to know of an instruction. */
export type InstructionKind = 'plain' | 'block' | 'loop' | 'end' | 'call' | 'grow' | 'bulk';

export const opcode = {
  if: 0x04,
  end: 0x0b,
  callIndirect: 0x11,
  localGet: 0x20,
  localTee: 0x22,
  globalGet: 0x23,
  globalSet: 0x24,
  i32Const: 0x41,
  i32Eqz: 0x45,
  i32LessSigned: 0x48,
  i32Add: 0x6a,
  i32Sub: 0x6b,
  i32And: 0x71,
  i32ShiftRightUnsigned: 0x76,
} as const;

/** Block type: nothing in, nothing out. */
export const noValues = 0x40;
/** `align` of a memory argument with a memory index behind it: several memories. */
const memoryIndexFlag = 0x40;

/**
 * Reads one instruction with its immediates. Known is what every Node since 20.19 runs: WebAssembly 2.0 with tail calls. What a
 * newer one runs besides is refused everywhere, so that a module runs on all nodes or on none.
 */
export function readInstruction(reader: BinaryReader): InstructionKind {
  const code = reader.byte();
  if (code >= 0x45 && code <= 0xc4) return 'plain';
  if (code >= 0x28 && code <= 0x3e) return skipMemoryArgument(reader);
  if (code >= 0x20 && code <= 0x26) return skipIndex(reader);
  switch (code) {
    case 0x00: // unreachable
    case 0x01: // nop
    case 0x05: // else
    case 0x0f: // return
    case 0x1a: // drop
    case 0x1b: // select
    case 0xd1: // ref.is_null
      return 'plain';
    case 0x02: // block
    case 0x04: // if
      reader.skipSigned(5);
      return 'block';
    case 0x03:
      reader.skipSigned(5);
      return 'loop';
    case 0x0b:
      return 'end';
    case 0x0c: // br
    case 0x0d: // br_if
    case 0xd2: // ref.func
      return skipIndex(reader);
    case 0x0e: // br_table
      for (let labels = reader.unsigned(); labels >= 0; labels -= 1) reader.unsigned();
      return 'plain';
    case 0x10: // call
    case 0x12: // return_call
      reader.unsigned();
      return 'call';
    case 0x11: // call_indirect
    case 0x13: // return_call_indirect
      reader.unsigned();
      reader.unsigned();
      return 'call';
    case 0x1c: // select with types
      for (let types = reader.unsigned(); types > 0; types -= 1) reader.byte();
      return 'plain';
    case 0x3f: // memory.size
      skipMemoryIndex(reader);
      return 'plain';
    case 0x40:
      skipMemoryIndex(reader);
      return 'grow';
    case 0x41:
      reader.skipSigned(5);
      return 'plain';
    case 0x42:
      reader.skipSigned(10);
      return 'plain';
    case 0x43:
      reader.skip(4);
      return 'plain';
    case 0x44:
      reader.skip(8);
      return 'plain';
    case 0xd0: // ref.null
      reader.skipSigned(5);
      return 'plain';
    case 0xfc:
      return readPrefixed(reader);
    case 0xfd:
      return readVector(reader);
    case 0xfe:
      throw new BinaryError('it uses threads (atomic instructions), and a task has one thread');
    case 0x06:
    case 0x07:
    case 0x08:
    case 0x09:
    case 0x0a:
    case 0x18:
    case 0x19:
    case 0x1f:
      throw new BinaryError('it uses exception handling, which is not the same on all nodes');
    default:
      throw new BinaryError(`it uses an instruction that not all nodes know (0x${code.toString(16)})`);
  }
}

function skipIndex(reader: BinaryReader): InstructionKind {
  reader.unsigned();
  return 'plain';
}

function skipMemoryArgument(reader: BinaryReader): InstructionKind {
  if (reader.unsigned() >= memoryIndexFlag) throw new BinaryError('it uses more than one memory');
  // An offset of 64 bits is only in modules with a 64-bit memory, which are refused.
  reader.unsigned();
  return 'plain';
}

function skipMemoryIndex(reader: BinaryReader): void {
  if (reader.byte() !== 0) throw new BinaryError('it uses more than one memory');
}

function readPrefixed(reader: BinaryReader): InstructionKind {
  const code = reader.unsigned();
  switch (code) {
    case 8: // memory.init
      reader.unsigned();
      skipMemoryIndex(reader);
      return 'bulk';
    case 9: // data.drop
    case 13: // elem.drop
    case 15: // table.grow: its table has a maximum
    case 16: // table.size
      return skipIndex(reader);
    case 10: // memory.copy
      skipMemoryIndex(reader);
      skipMemoryIndex(reader);
      return 'bulk';
    case 11: // memory.fill
      skipMemoryIndex(reader);
      return 'bulk';
    case 12: // table.init
    case 14: // table.copy
      reader.unsigned();
      reader.unsigned();
      return 'bulk';
    case 17: // table.fill
      reader.unsigned();
      return 'bulk';
    default:
      if (code <= 7) return 'plain'; // saturating conversions
      throw new BinaryError(`it uses an instruction that not all nodes know (0xfc ${code})`);
  }
}

function readVector(reader: BinaryReader): InstructionKind {
  const code = reader.unsigned();
  if (code > 255) throw new BinaryError('it uses relaxed SIMD, whose results differ from machine to machine');
  if (code <= 11 || code === 92 || code === 93) return skipMemoryArgument(reader);
  if (code === 12 || code === 13) reader.skip(16);
  else if (code >= 21 && code <= 34) reader.byte();
  else if (code >= 84 && code <= 91) {
    skipMemoryArgument(reader);
    reader.byte();
  }
  return 'plain';
}
