import { BinaryError, type BinaryReader, BinaryWriter, unsignedLeb } from './binary.ts';
import { noValues, opcode, readInstruction } from './instructions.ts';

/** Where what the meter adds to a module is found: indices of it. */
export interface MeterPlaces {
  /** Units that are left until the host is called. */
  readonly unitsGlobal: number;
  /** Two functions of the host: `tick` at 0, `grow` at 1. */
  readonly table: number;
  readonly tickType: number;
  readonly growType: number;
}

/**
 * A unit is a call, or this many turns of loops. Turns are counted in a local, which costs next to nothing; units in a global, which
 * costs a load and a store.
 */
const turnsPerUnit = 1_024;
/** A unit is as many bytes of a bulk instruction: 16 KiB. */
const bytesPerUnitShift = 14;
const i32 = 0x7f;
const tickSlot = 0;
const growSlot = 1;

/**
 * The body of a function (locals and code), metered: the host gets to run at least every so many units, whatever the code does, and
 * is asked before the memory grows. Nothing that was there changes its index.
 *
 * @param body without its size
 * @param parameters how many the function has
 */
export function meterBody(body: BinaryReader, parameters: number, places: MeterPlaces): BinaryWriter {
  const from = body.at;
  let locals = parameters;
  const declarations = body.unsigned();
  const declarationsAt = body.at;
  for (let index = 0; index < declarations; index += 1) {
    locals += body.unsigned();
    body.byte();
  }
  if (locals > 0xffff_fff0) throw new BinaryError('a function has too many locals');
  const codeAt = body.at;
  const turnsLocal = locals;
  const sizeLocal = locals + 1;
  const unit = charge([opcode.i32Const, 1], places);
  const turn = [
    ...[opcode.localGet, ...unsignedLeb(turnsLocal), opcode.i32Const, 1, opcode.i32Add],
    ...[opcode.localTee, ...unsignedLeb(turnsLocal), opcode.i32Const, ...signedLeb(turnsPerUnit - 1), opcode.i32And],
    ...[opcode.i32Eqz, opcode.if, noValues, ...unit, opcode.end],
  ];
  const size = unsignedLeb(sizeLocal);
  const bulkUnits = [opcode.localGet, ...size, opcode.i32Const, bytesPerUnitShift, opcode.i32ShiftRightUnsigned];

  const code = new BinaryWriter();
  let copiedTo = codeAt;
  const insert = (at: number, bytes: readonly number[]): void => {
    code.add(body.slice(copiedTo, at));
    code.add(bytes);
    copiedTo = at;
  };
  let changes = false;
  let calls = false;
  let depth = 1;
  while (depth > 0) {
    const { at } = body;
    const kind = readInstruction(body);
    if (kind === 'plain') continue;
    if (kind === 'block') depth += 1;
    else if (kind === 'end') depth -= 1;
    else if (kind === 'loop') {
      depth += 1;
      insert(body.at, turn);
    } else if (kind === 'grow') {
      insert(at, [
        opcode.i32Const,
        growSlot,
        opcode.callIndirect,
        ...unsignedLeb(places.growType),
        ...unsignedLeb(places.table),
      ]);
      copiedTo = body.at;
    } else if (kind === 'bulk') {
      insert(at, [opcode.localTee, ...size]);
      insert(body.at, charge(bulkUnits, places));
    }
    if (kind === 'call' || kind === 'loop') calls = true;
    if (kind !== 'block' && kind !== 'end') changes = true;
  }
  if (!body.isAtEnd) throw new BinaryError('a function is longer than its code');

  const metered = new BinaryWriter();
  if (!changes) {
    metered.add(body.slice(from, body.end));
    return metered;
  }
  metered.unsigned(declarations + 1);
  metered.add(body.slice(declarationsAt, codeAt));
  metered.add([2, i32]);
  if (calls) metered.add(unit);
  metered.addAll(code);
  metered.add(body.slice(copiedTo, body.end));
  return metered;
}

/** Takes units away; calls the host when none are left. Leaves the stack as it was. */
function charge(units: readonly number[], { unitsGlobal, table, tickType }: MeterPlaces): number[] {
  const global = unsignedLeb(unitsGlobal);
  return [
    ...[opcode.globalGet, ...global, ...units, opcode.i32Sub, opcode.globalSet, ...global],
    ...[opcode.globalGet, ...global, opcode.i32Const, 0, opcode.i32LessSigned, opcode.if, noValues],
    ...[opcode.i32Const, tickSlot, opcode.callIndirect, ...unsignedLeb(tickType), ...unsignedLeb(table), opcode.end],
  ];
}

/** Of a number that is not negative. */
function signedLeb(value: number): number[] {
  const bytes = unsignedLeb(value);
  const last = bytes.at(-1)!;
  if (last < 0x40) return bytes;
  return [...bytes.slice(0, -1), last | 0x80, 0];
}
