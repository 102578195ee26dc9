/**
 * The entry of a sandbox process. File descriptor 3 is the pipe to the pool; when it closes, the process ends. Arguments: the
 * nice value, and "drop" when the process is to become nobody once it has loaded what it needs.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import { constants, setPriority } from 'node:os';
import type { EngineName } from '../contract/index.ts';
import { readAllotment } from './allotment.ts';
import { FrameReader } from './frames.ts';
import { QuickjsEngine } from './quickjs-engine.ts';
import type { SandboxEngine } from './sandbox-engine.ts';
import { SandboxRunner } from './sandbox-runner.ts';
import { WasmEngine } from './wasm/wasm-engine.ts';

const nobody = 65_534;
/** Of a frame from the pool: the pool is trusted, this only catches a stream that is out of step. */
const frameBytesMost = 0xffff_ffff;

const [nice, identity] = process.argv.slice(2);
const parent = process.ppid;
const notes: string[] = [];

lowerPriority(Number(nice));
const socket = new Socket({ fd: 3, readable: true, writable: true });
// Nobody is there any more: nothing to say, nobody to say it to.
for (const event of ['end', 'close', 'error']) socket.on(event, () => process.exit(0));

const quickjs = await QuickjsEngine.start(readQuickjsWasm());
const engines = new Map<EngineName, SandboxEngine>([
  ['js', quickjs],
  // All of its code is loaded here: once the process is nobody it may not be able to read it.
  ['wasm', new WasmEngine()],
]);
const runner = new SandboxRunner(engines, {
  write: (parts) => void socket.write(parts.length === 1 ? parts[0]! : Buffer.concat(parts)),
  allotment: () => readAllotment(4),
  isOrphan: () => process.ppid !== parent,
  exit: () => process.exit(0),
});
const reader = new FrameReader(frameBytesMost, (frame) => runner.receive(frame));
if (identity === 'drop') dropPrivileges();
socket.on('data', (chunk: Buffer) => reader.push(chunk));
runner.ready(notes);

function lowerPriority(value: number): void {
  try {
    setPriority(Math.min(constants.priority.PRIORITY_LOW, value));
  } catch (error) {
    notes.push(`priority: ${(error as Error).message}`);
  }
}

/** Beside a bundle, or from the package. */
function readQuickjsWasm(): Uint8Array {
  try {
    return readFileSync(new URL('./quickjs.wasm', import.meta.url));
  } catch {
    return readFileSync(createRequire(import.meta.url).resolve('@jitl/quickjs-wasmfile-release-sync/wasm'));
  }
}

function dropPrivileges(): void {
  try {
    process.setgroups?.([]);
    process.setgid?.(nobody);
    process.setuid?.(nobody);
  } catch (error) {
    notes.push(`privileges: ${(error as Error).message}`);
  }
}
