import * as z from 'zod';
import { limits } from '../limits.ts';
import { problem } from './job.ts';
import { blobName, bytes, count, identifier, splitBy, version } from './shared.ts';

const request = { v: version, id: identifier };
const chunkOffset = count.max(limits.blobBytes);

/**
 * `blobs/<holder>/<requester>/ask`, CBOR, QoS 1. A blob larger than `wholeBlobBytes` is the concatenation of chunks of
 * `blobChunkBytes` (the last may be shorter); its name is the SHA-256 of its manifest: the chunks' 32-byte hashes, in
 * order, concatenated. The manifest travels as a blob of its own name and `part: manifest`.
 */
export const blobAsk = z.discriminatedUnion('op', [
  /** Bytes [offset, offset + length) of the blob, or of its manifest. */
  z.object({
    ...request,
    op: z.literal('get'),
    blob: blobName,
    sizeBytes: count,
    part: z.enum(['content', 'manifest']),
    offset: chunkOffset,
    length: z.number().int().min(1).max(limits.blobChunkBytes),
    accept: z.array(z.enum(['deflate'])).optional(),
  }),
  /** Begin or resume an upload: the answer's `missing` lists the chunk numbers that the holder wants. */
  z.object({ ...request, op: z.literal('begin'), blob: blobName, sizeBytes: count.max(limits.blobBytes) }),
  /** One chunk of an upload that was begun; acknowledged when it is on the holder's disk. */
  z.object({
    ...request,
    op: z.literal('put'),
    blob: blobName,
    sizeBytes: count,
    part: z.enum(['content', 'manifest']),
    offset: chunkOffset,
    compression: z.enum(['none', 'deflate']),
    data: bytes,
  }),
  /** Verify and fsync what was put: after the answer the blob is durable. */
  z.object({ ...request, op: z.literal('commit'), blob: blobName, sizeBytes: count }),
  /** Where records begin, for cutting: see `recordIndex`. */
  z.object({ ...request, op: z.literal('index'), blob: blobName, sizeBytes: count, by: splitBy }),
]);
export type BlobAsk = z.infer<typeof blobAsk>;

/**
 * At most `indexMarks` places where a record begins: `offsets[i]` is the byte at which record `records[i]` begins, both
 * ascending, the first record always among them. `endOffset` is where the last record ends, `totalRecords` how many.
 */
export const recordIndex = z.object({
  by: splitBy,
  totalRecords: count,
  endOffset: count,
  records: z.array(count).max(limits.indexMarks),
  offsets: z.array(count).max(limits.indexMarks),
});
export type RecordIndex = z.infer<typeof recordIndex>;

const answer = { v: version, id: identifier };
export const blobAnswer = z.discriminatedUnion('op', [
  z.object({ ...answer, op: z.literal('data'), compression: z.enum(['none', 'deflate']), data: bytes }),
  z.object({
    ...answer,
    op: z.literal('missing'),
    complete: z.boolean(),
    manifest: z.boolean(),
    missing: z.array(count),
  }),
  z.object({ ...answer, op: z.literal('stored') }),
  z.object({ ...answer, op: z.literal('committed') }),
  z.object({ ...answer, op: z.literal('index'), index: recordIndex }),
  z.object({ ...answer, op: z.literal('error'), problem }),
]);
export type BlobAnswer = z.infer<typeof blobAnswer>;
