/**
 * The entry of a process of engine `node`: runs one task, which descriptor 3 brings, and ends. What it says there is judged
 * by the other side: the code can say it too.
 */
import { writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants, setPriority } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ErrorCode } from '../../contract/errors.ts';
import { encodeFrame, type Frame, FrameReader } from '../frames.ts';
import type { FromSandbox, ToSandbox } from '../protocol.ts';
import type { NodeTaskFunction } from '../task-api.ts';
import { makeTask, outputOf } from './node-task.ts';

const frameBytesMost = 0xffff_ffff;
const messageCharactersMost = 2_000;
const progressIntervalMs = 100;
const spent = { usage: { cpuMs: 0, wallMs: 0, peakMemoryBytes: 0, inputBytes: 0, outputBytes: 0 }, processCpuMs: 0 };

try {
  setPriority(constants.priority.PRIORITY_LOW);
} catch {
  // the system keeps it as it is
}
const socket = new Socket({ fd: 3, readable: true, writable: true });
for (const event of ['end', 'close', 'error']) socket.on(event, () => process.exit(0));
const reader = new FrameReader(frameBytesMost, (frame) => void run(frame));
socket.on('data', (chunk: Buffer) => reader.push(chunk));
let id = 0;
for (const event of ['uncaughtException', 'unhandledRejection']) {
  process.on(event, (error: unknown) => fail('MESH_TASK_THREW', error));
}
say({ type: 'ready', notes: [], processCpuMs: 0 });

function say(message: FromSandbox, bytes?: Uint8Array): void {
  for (const part of encodeFrame(message, bytes === undefined ? [] : [bytes])) socket.write(part);
}

function fail(code: ErrorCode, error: unknown): void {
  const { name, message, stack } = (typeof error === 'object' && error !== null ? error : {}) as Partial<Error>;
  const text = stack ?? (message === undefined ? String(error) : `${name ?? 'Error'}: ${message}`);
  say({ type: 'failed', id, code, message: text.slice(0, messageCharactersMost), ...spent });
}

async function run({ head, body }: Frame): Promise<void> {
  const message = head as ToSandbox & { type: 'run' };
  id = message.id;
  const codeBytes = message.codeBytes ?? 0;
  let at = codeBytes;
  const slots = message.slotBytes.map((size) => {
    at += size;
    return body.subarray(at - size, at);
  });
  let main: NodeTaskFunction;
  try {
    const file = join(process.cwd(), 'task.mjs');
    writeFileSync(file, body.subarray(0, codeBytes), { mode: 0o600 });
    main = ((await import(pathToFileURL(file).href)) as { default: NodeTaskFunction }).default;
    if (typeof main !== 'function') throw new TypeError('the default export is no function');
  } catch (error) {
    fail('MESH_TASK_CODE_INVALID', error);
    return;
  }
  say({ type: 'started', id });
  let toldMs = Number.NEGATIVE_INFINITY;
  const task = makeTask(message.shape, slots, message.parameters, {
    progress: (fraction) => {
      if (performance.now() - toldMs < progressIntervalMs) return;
      toldMs = performance.now();
      say({ type: 'progress', id, fraction });
    },
    log: (text) => void process.stdout.write(`${text}\n`),
  });
  let value: unknown;
  try {
    value = await main(task);
  } catch (error) {
    fail('MESH_TASK_THREW', error);
    return;
  }
  try {
    const { encoding, bytes } = outputOf(value);
    if (bytes.length > message.limits.outputBytes)
      throw new RangeError(`${bytes.length} bytes, at most ${message.limits.outputBytes} may be`);
    say({ type: 'done', id, encoding, ...spent }, bytes);
  } catch (error) {
    fail('MESH_TASK_OUTPUT', error);
  }
}
