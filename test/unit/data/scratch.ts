import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ErrorCode, MeshError } from '@foremesh/node-runtime/contract';

/** A directory of the test that runs, removed behind it. */
export function scratch(): () => string {
  let directory = '';
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'foremesh-data-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));
  return () => directory;
}

/** The same bytes for the same seed; nothing in them repeats. */
export function noise(sizeBytes: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  for (let at = 0; at < sizeBytes; at += 32) {
    const block = createHash('sha256').update(`${seed} ${at}`).digest();
    bytes.set(block.subarray(0, Math.min(32, sizeBytes - at)), at);
  }
  return bytes;
}

export function sameBytes(found: Uint8Array, expected: Uint8Array): void {
  assert.equal(found.length, expected.length);
  assert.equal(Buffer.compare(found, expected), 0, 'the bytes differ');
}

export async function rejectsWith(promise: Promise<unknown>, code: ErrorCode): Promise<MeshError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof MeshError, String((error as Error)?.stack));
    assert.equal(error.code, code, error.message);
    return error;
  }
  assert.fail(`expected ${code}`);
}
