import assert from 'node:assert/strict';
import { createCipheriv, createHash } from 'node:crypto';
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
  const key = createHash('sha256').update(`${seed}`).digest();
  return new Uint8Array(createCipheriv('aes-256-ctr', key, new Uint8Array(16)).update(new Uint8Array(sizeBytes)));
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
