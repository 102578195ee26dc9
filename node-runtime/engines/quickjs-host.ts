import { isUtf8 } from 'node:buffer';
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
        return this.output(machine, number(1) === outputKind.text, args(2), number(3) === stringForm.json);
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
        const bytes = this.readString(machine, args(1), number(2) === stringForm.json, this.task.limits.memoryBytes);
        return bytes instanceof Uint8Array ? machine.newArrayBuffer(bytes) : undefined;
      }
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
      const has = Number.isFinite(this.tooLarge) ? this.tooLarge : 'more';
      return failed('MESH_TASK_OUTPUT', `the output may have ${outputBytes} bytes and has ${has}`);
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
    const valid = isUtf8(bytes) ? bytes : Buffer.from(utf8.decode(bytes));
    if (!valid.includes(0)) return machine.newString(valid, before, behind);
    const json = machine.newString(Buffer.from(JSON.stringify(before + utf8.decode(valid) + behind)));
    return json === undefined ? undefined : machine.tryCall(this.parse, [json]);
  }

  private readString(
    machine: Machine,
    value: Value,
    isJson: boolean,
    bytesMost: number,
  ): Uint8Array | number | undefined {
    // As JSON a character may need six times the bytes.
    const bytes = machine.getUtf8(value, isJson ? bytesMost * 6 + 2 : bytesMost);
    if (!isJson || bytes === undefined) return bytes;
    if (!(bytes instanceof Uint8Array)) return Number.POSITIVE_INFINITY;
    const text = tryParse(bytes);
    if (typeof text !== 'string') return undefined;
    const plain = Buffer.from(text);
    return plain.length > bytesMost ? plain.length : plain;
  }

  private output(machine: Machine, isText: boolean, value: Value, isJson: boolean): Value | undefined {
    const bytes = this.readString(machine, value, isJson, this.task.limits.outputBytes);
    if (bytes === undefined) return undefined;
    if (typeof bytes === 'number') this.tooLarge ??= bytes;
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

function tryParse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch {
    return undefined;
  }
}

export function parseTold(bytes: Uint8Array | number | undefined): Told {
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
