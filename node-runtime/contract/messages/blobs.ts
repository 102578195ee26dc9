import * as z from 'zod';
import { limits } from '../limits.ts';
import { problem } from './job.ts';
import { blobName, bytes, count, dataReference, identifier, indexedBy, splitBy, version } from './shared.ts';

const request = { v: version, id: identifier };
const chunkOffset = count.max(limits.blobBytes);

/**
 * `blobs/<holder>/<requester>/ask`, CBOR, QoS 1; the answer comes on `.../answer` with the same `id`. Every request is
 * idempotent: one that goes unanswered is sent again with its id. A blob is known by its name and its size together (64
 * bytes may be a blob as well as the manifest of a larger one). A blob larger than `wholeBlobBytes` is the concatenation of chunks of
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
  /**
   * One chunk of an upload that was begun: of the content it begins at a multiple of `blobChunkBytes`, of the manifest
   * likewise (the manifest first: chunks are checked against it). Acknowledged by `stored` when the holder has it; only
   * `commit` makes it durable. Raw deflate is always understood.
   */
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
  z.object({ ...request, op: z.literal('index'), blob: blobName, sizeBytes: count, by: indexedBy }),
  /**
   * What nobody has put or asked for within the holder's grace time, the longest unused first, without the first `skip` of them.
   * By whoever leads, under the name `--<node>`.
   */
  z.object({ ...request, op: z.literal('unused'), skip: count }),
  /**
   * No job needs these, by a log that was read after that list was made: they go, but for those that somebody has put or asked
   * for since. A list holds until the next one, and for `blobSweepMs` at most.
   */
  z.object({
    ...request,
    op: z.literal('remove'),
    sweep: identifier,
    blobs: z.array(dataReference).max(limits.blobsPerSweep),
  }),
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
  /** `complete`: the blob is durable here already. `manifest`: it is wanted, before any chunk. */
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
  z.object({
    ...answer,
    op: z.literal('unused'),
    sweep: identifier,
    graceMs: count,
    blobs: z.array(dataReference).max(limits.blobsPerSweep),
    /** There are more behind these. */
    more: z.boolean(),
  }),
  z.object({ ...answer, op: z.literal('removed'), blobs: count }),
  /** Sent every few seconds while the holder is at it (queued, an fsync, an index): the requester goes on waiting. */
  z.object({ ...answer, op: z.literal('busy') }),
  z.object({ ...answer, op: z.literal('error'), problem }),
]);
export type BlobAnswer = z.infer<typeof blobAnswer>;
