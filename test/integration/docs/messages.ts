import assert from 'node:assert/strict';
import * as contract from '@foremesh/node-runtime/contract';
import type * as z from 'zod';

/** The messages of the contract by the names that documents use. */
const schemas: Readonly<Record<string, z.ZodType>> = {
  blobAnswer: contract.blobAnswer,
  blobAsk: contract.blobAsk,
  inboxEnvelope: contract.inboxEnvelope,
  jobCancel: contract.jobCancel,
  jobLogs: contract.jobLogs,
  jobResult: contract.jobResult,
  jobSpec: contract.jobSpec,
  jobState: contract.jobState,
  leaderHint: contract.leaderHint,
  meshEvent: contract.meshEvent,
  nodeForecast: contract.nodeForecast,
  nodeMetrics: contract.nodeMetrics,
  nodeStatus: contract.nodeStatus,
  outboxEnvelope: contract.outboxEnvelope,
  queryAnswer: contract.queryAnswer,
  queryAsk: contract.queryAsk,
};

/**
 * Fails unless a message that a document shows is one: it fits its schema, has no key that the schema does not know, and
 * survives both encodings. `{"$bytes": "<base64>"}` stands for a byte string, which only CBOR has.
 */
export function assertMessage(name: string, text: string): void {
  const schema = schemas[name];
  assert.ok(schema, `there is no message "${name}"`);
  let hasBytes = false;
  const message: unknown = JSON.parse(text, (_key, value: unknown) => {
    if (typeof value !== 'object' || value === null || !('$bytes' in value)) return value;
    hasBytes = true;
    return new Uint8Array(Buffer.from(String(value.$bytes), 'base64'));
  });
  for (const encoding of hasBytes ? (['cbor'] as const) : (['json', 'cbor'] as const)) {
    const decoded: unknown = contract.decode(schema, contract.encode(message, encoding));
    // A spec's shorthands are written out: only what it names is compared.
    if (name !== 'jobSpec') assert.deepEqual(plain(decoded), plain(message));
  }
}

/** Bytes as plain arrays, so that views of any kind are equal. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: [...value] };
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
}
