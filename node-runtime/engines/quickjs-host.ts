import { isUtf8 } from 'node:buffer';
import { tarFiles, tarHeader } from '@foremesh/partitioner';
import type { SplitBy } from '../contract/index.ts';
import type { Machine, MachineHost, Value } from './quickjs-machine.ts';
import { hostCalls, outputKind, stringForm } from './quickjs-prelude.ts';
import { blockEnd, countRecords, nextBlock } from './record-blocks.ts';
import type { SandboxTask, TaskControl, TaskResult } from './sandbox-engine.ts';

/** What the guest says of a value that was thrown. */
interface Told {
  phase: string;
  kind: string;
  name: string;
  message: string;
  stack: string;
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
const toldBytesMost = 32_768;
const logBytesMost = 1_000_000;
/** 65,537 characters as JSON, at six bytes each at most. */
const pieceBytesMost = 400_000;
const chunkBytes = 65_536;

type Ending = { type: 'done'; encoding: 'json' | 'text' | 'bytes'; bytes: Uint8Array } | { type: 'failed'; told: Told };

/** Answers the host calls of one task. Everything that comes from the guest is checked here. */
export class QuickjsHost implements MachineHost {
  ending: Ending | undefined;
  private readonly task: SandboxTask;
  private readonly control: TaskControl;
  private readonly parse: Value;
  private readonly isTooLarge: () => boolean;
  private readonly by: SplitBy;
  private next = 0;
  private records: number | undefined;
  private tooLarge: number | undefined;
  private pieces: Uint8Array[] = [];
  private piecesBytes = 0;

  /** `parse` is the guest's JSON.parse, `isTooLarge` says whether the heap has passed its limit. */
  constructor(task: SandboxTask, control: TaskControl, parse: Value, isTooLarge: () => boolean) {
    this.task = task;
    this.control = control;
    this.parse = parse;
    this.isTooLarge = isTooLarge;
    this.by = task.shape.by ?? 'lines';
  }

  interrupt(): boolean {
    return this.control.tick() || this.isTooLarge();
  }

  call(machine: Machine, args: (index: number) => Value): Value | undefined {
    const number = (index: number): number => machine.getNumber(args(index));
    switch (number(0)) {
      case hostCalls.log:
        this.log(machine, args(1));
        return undefined;
      case hostCalls.progress: {
        const fraction = number(1);
        if (fraction >= 0 && fraction <= 1) this.control.progress(fraction);
        return undefined;
      }
      case hostCalls.text:
        return this.newText(machine, this.slot(number(1)));
      case hostCalls.bytes:
        return machine.newArrayBuffer(this.slot(number(1)));
      case hostCalls.block:
        return this.block(machine, number(1));
      case hostCalls.next:
        return machine.newNumber(this.next);
      case hostCalls.count: {
        const { by } = this.task.shape;
        this.records ??= by === undefined ? 0 : countRecords(this.slot(0), by);
        return machine.newNumber(this.records);
      }
      case hostCalls.output:
        return this.output(machine, number(1) === outputKind.text, args(2), number(3) === stringForm.pieces);
      case hostCalls.outputBytes:
        return this.outputBytes(machine, args(1), number(2), number(3));
      case hostCalls.failed:
        this.fail(parseTold(machine.getUtf8(args(1), toldBytesMost)));
        return undefined;
      case hostCalls.decode: {
        const bytes = machine.getBytes(args(1), number(2), number(3));
        if (bytes === undefined) return undefined;
        if (number(4) === 1 && !isUtf8(bytes)) return machine.ffi.QTS_GetNull();
        return this.newText(machine, bytes);
      }
      case hostCalls.encode: {
        const isPieces = number(2) === stringForm.pieces;
        const bytes = isPieces ? this.takePieces() : machine.getUtf8(args(1), this.task.limits.memoryBytes);
        return bytes instanceof Uint8Array ? machine.newArrayBuffer(bytes) : undefined;
      }
      case hostCalls.files:
        return machine.newString(Buffer.from(JSON.stringify(this.files())));
      case hostCalls.range: {
        const bytes = this.slot(0);
        const [start, length] = [number(1), number(2)];
        const isInside = Number.isInteger(start) && Number.isInteger(length) && start >= 0 && length >= 0;
        return isInside && start + length <= bytes.length
          ? machine.newArrayBuffer(bytes.subarray(start, start + length))
          : undefined;
      }
      case hostCalls.archive:
        return this.archiveHeader(machine, args(1), number(2));
      case hostCalls.piece:
        return this.addPiece(machine, args(1));
      default:
        return undefined;
    }
  }

  /** What the task came to; `undefined` while it has not settled. */
  result(peakMemoryBytes: number): TaskResult | undefined {
    const failed = (code: Extract<TaskResult, { type: 'failed' }>['code'], message: string): TaskResult => ({
      type: 'failed',
      code,
      message,
      peakMemoryBytes,
    });
    if (this.tooLarge !== undefined) {
      const { outputBytes } = this.task.limits;
      return failed('MESH_TASK_OUTPUT', `the output may have ${outputBytes} bytes and has ${this.tooLarge}`);
    }
    if (this.ending === undefined) return undefined;
    if (this.ending.type === 'done') return { ...this.ending, peakMemoryBytes };
    const { told } = this.ending;
    const text = describe(told);
    if (told.phase === 'output') return failed('MESH_TASK_OUTPUT', `the result cannot be encoded: ${text}`);
    if (told.phase === 'code') return failed('MESH_TASK_CODE_INVALID', text);
    return failed('MESH_TASK_THREW', text);
  }

  /** QuickJS said so; without room for the error it throws null. */
  ranOutOfMemory(isNearlyFull: boolean): boolean {
    if (this.ending?.type !== 'failed') return this.ending === undefined && isNearlyFull;
    const { kind, name, message } = this.ending.told;
    return (name === 'InternalError' && message === 'out of memory') || (kind === 'null' && isNearlyFull);
  }

  fail(told: Told): void {
    this.ending ??= { type: 'failed', told };
  }

  /** Name, begin and size of every file of the input. */
  private files(): [string, number, number][] {
    if (this.by !== 'files') return [];
    return Array.from(tarFiles(this.slot(0)), ({ name, start, sizeBytes }) => [name, start, sizeBytes]);
  }

  /** The header of a file in what the task gives, or what is wrong with its name. */
  private archiveHeader(machine: Machine, name: Value, sizeBytes: number): Value | undefined {
    const bytes = machine.getUtf8(name, pieceBytesMost);
    const text = bytes instanceof Uint8Array ? tryParse(bytes) : undefined;
    if (typeof text !== 'string' || !Number.isSafeInteger(sizeBytes) || sizeBytes < 0) return undefined;
    try {
      return machine.newArrayBuffer(tarHeader(text, sizeBytes));
    } catch (error) {
      return machine.newString(Buffer.from((error as RangeError).message));
    }
  }

  private slot(index: number): Uint8Array {
    return this.task.slots[index] ?? new Uint8Array(0);
  }

  private block(machine: Machine, offset: number): Value | undefined {
    const bytes = this.slot(0);
    if (!(Number.isInteger(offset) && offset >= 0 && offset < bytes.length)) return undefined;
    const end = blockEnd(bytes, this.by, offset);
    this.next = nextBlock(bytes, this.by, end);
    const block = bytes.subarray(offset, end);
    return this.by === 'items' ? this.newText(machine, block, '[', ']') : this.newText(machine, block);
  }

  /** Text from bytes that may be invalid UTF-8 or hold a NUL, where a C string would end. */
  private newText(machine: Machine, bytes: Uint8Array, before = '', behind = ''): Value | undefined {
    if (!bytes.includes(0)) return machine.newString(isUtf8(bytes) ? bytes : repaired(bytes), before, behind);
    const json = machine.newString(repaired(bytes, true), `"${before}`, `${behind}"`);
    return json === undefined ? undefined : machine.tryCall(this.parse, [json]);
  }

  private addPiece(machine: Machine, value: Value): Value | undefined {
    const bytes = machine.getUtf8(value, pieceBytesMost);
    const text = bytes instanceof Uint8Array ? tryParse(bytes) : undefined;
    if (typeof text !== 'string') return undefined;
    const piece = Buffer.from(text);
    this.piecesBytes += piece.length;
    // What is too large for any use is only counted.
    const { outputBytes, memoryBytes } = this.task.limits;
    if (this.piecesBytes <= Math.max(outputBytes, memoryBytes)) this.pieces.push(piece);
    return machine.newNumber(1);
  }

  private takePieces(): Uint8Array | number {
    const { pieces, piecesBytes } = this;
    this.pieces = [];
    this.piecesBytes = 0;
    const bytes = Buffer.concat(pieces);
    return bytes.length === piecesBytes ? bytes : piecesBytes;
  }

  private output(machine: Machine, isText: boolean, value: Value, isPieces: boolean): Value | undefined {
    const { outputBytes } = this.task.limits;
    const bytes = isPieces ? this.takePieces() : machine.getUtf8(value, outputBytes);
    if (bytes === undefined) return undefined;
    if (typeof bytes === 'number') this.tooLarge ??= bytes;
    else if (bytes.length > outputBytes) this.tooLarge ??= bytes.length;
    else this.ending ??= { type: 'done', encoding: isText ? 'text' : 'json', bytes };
    return machine.newNumber(1);
  }

  private outputBytes(machine: Machine, buffer: Value, offset: number, length: number): Value | undefined {
    if (length > this.task.limits.outputBytes) {
      this.tooLarge ??= length;
      return machine.newNumber(1);
    }
    const bytes = machine.getBytes(buffer, offset, length);
    if (bytes === undefined) return undefined;
    this.ending ??= { type: 'done', encoding: 'bytes', bytes };
    return machine.newNumber(1);
  }

  private log(machine: Machine, value: Value): void {
    const bytes = machine.getUtf8(value, logBytesMost);
    if (!(bytes instanceof Uint8Array)) return;
    const text: unknown = tryParse(bytes);
    if (typeof text === 'string') for (const line of text.split('\n')) this.control.log(line);
  }
}

/** Valid UTF-8 from any bytes, or the inside of a JSON string of it; chunk by chunk, for V8's heap here is small. */
function repaired(bytes: Uint8Array, asJson = false): Uint8Array {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const text = decoder.decode(bytes.subarray(at, at + chunkBytes), { stream: at + chunkBytes < bytes.length });
    parts.push(Buffer.from(asJson ? JSON.stringify(text).slice(1, -1) : text));
  }
  return Buffer.concat(parts);
}

function tryParse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch {
    return undefined;
  }
}

function parseTold(bytes: Uint8Array | number | undefined): Told {
  const value = bytes instanceof Uint8Array ? (tryParse(bytes) as Partial<Told> | null | undefined) : undefined;
  const text = (part: unknown): string => (typeof part === 'string' ? part : '');
  return {
    phase: text(value?.phase),
    kind: text(value?.kind),
    name: text(value?.name),
    message: text(value?.message),
    stack: text(value?.stack),
  };
}

/** One line: what was thrown, and where in the task's code. */
function describe({ kind, name, message, stack }: Told): string {
  const isError = name !== '' || stack !== '' || kind === '';
  const what = isError ? [name, message].filter((part) => part !== '').join(': ') : `threw ${kind}: ${message}`;
  const where = /task\.js:\d+(:\d+)?/.exec(stack)?.[0];
  return where === undefined ? what : `${what} (${where})`;
}
