/// <reference path="../../../node-runtime/engines/webassembly.d.ts" />
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { withInitialPages } from '../../../node-runtime/engines/wasm-memory.ts';
import { quickjsWasm } from './guest.ts';

const head = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
/** (import "e" "f" (func)) (import "e" "m" (memory 256 512)) */
const withMemory = Uint8Array.from([
  ...head,
  ...[1, 4, 1, 0x60, 0, 0],
  ...[2, 17, 2, 1, 0x65, 1, 0x66, 0, 0, 1, 0x65, 1, 0x6d, 2, 1, 0x80, 2, 0x80, 4],
]);

async function takes(wasm: Uint8Array, initial: number): Promise<boolean> {
  const module = await WebAssembly.compile(wasm);
  const memory = new WebAssembly.Memory({ initial, maximum: 512 });
  try {
    new WebAssembly.Instance(module, { e: { f: () => undefined, m: memory } });
    return true;
  } catch (error) {
    assert.equal((error as Error).name, 'LinkError', String(error));
    return false;
  }
}

describe('the initial memory of a WebAssembly module', () => {
  it('can be made less, and nothing else of the module changes', async () => {
    assert.equal(await takes(withMemory, 255), false);
    const changed = withInitialPages(withMemory, 3);
    assert.equal(await takes(changed, 2), false);
    assert.equal(await takes(changed, 3), true);
    assert.deepEqual(withInitialPages(changed, 256), withMemory);
    assert.equal(await takes(withMemory, 255), false, 'the bytes that were given have changed');
  });

  it('is found in the module that we ship', async () => {
    const wasm = readFileSync(quickjsWasm);
    const changed = withInitialPages(wasm, 96);
    assert.equal(changed.length, wasm.length);
    await WebAssembly.compile(changed);
  });

  it('is not changed where it does not fit or is not there', () => {
    assert.throws(() => withInitialPages(withMemory, 2 ** 14), /takes more than 2 bytes/);
    assert.throws(() => withInitialPages(Uint8Array.from(head), 1), /imports no memory/);
    assert.throws(() => withInitialPages(withMemory.subarray(0, 20), 1), /ends too early/);
  });
});
