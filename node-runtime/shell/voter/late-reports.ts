import type { Logger } from 'pino';
import { asMeshError, type DataReference, type OutboxMessage } from '../../contract/index.ts';
import { lateBlobOf, lateLogOf } from '../../core/index.ts';
import type { BlobClient } from '../../data/index.ts';
import type { Voter } from './voter.ts';

export interface LateReportsOptions {
  readonly voter: () => Voter;
  readonly blobs: BlobClient;
  readonly log: Logger;
}

/**
 * What the log names can be had: an outcome that comes late, of an attempt that the leader had given up or never knew, may name
 * a blob that its holder has let go since. It is fed to the planner once a holder has said that it has the blob.
 */
export class LateReports {
  readonly #options: LateReportsOptions;
  /** Being asked about, by attempt: nodes repeat themselves. */
  readonly #asked = new Set<string>();

  constructor(options: LateReportsOptions) {
    this.#options = options;
  }

  /** What can be believed at once; the rest is fed later, each by itself. */
  sift(node: string, bootId: string, messages: readonly OutboxMessage[]): readonly OutboxMessage[] {
    const { planner } = this.#options.voter();
    if (!planner.leading) return messages;
    const late = messages.filter(
      (message) => lateBlobOf(planner, message) !== undefined || lateLogOf(planner, message) !== undefined,
    );
    if (late.length === 0) return messages;
    for (const message of late) void this.#ask(node, bootId, message, lateBlobOf(planner, message));
    return messages.filter((message) => !late.includes(message));
  }

  async #ask(
    node: string,
    bootId: string,
    message: OutboxMessage,
    reference: DataReference | undefined,
  ): Promise<void> {
    const { voter, blobs, log } = this.#options;
    if (!('attempt' in message) || this.#asked.has(message.attempt)) return;
    this.#asked.add(message.attempt);
    try {
      if (reference !== undefined) await blobs.checkHeld(reference);
      voter().feed({ type: 'node-reported', node, bootId, messages: [await this.#withHeldLog(message)] });
    } catch (error) {
      const problem = asMeshError(error, 'MESH_UNREACHABLE');
      log.info(`what ${node} reports of ${message.attempt} does not count: ${problem.toLine()}`);
      // Otherwise nothing is known: the node reports it again when it is asked what it has in hand.
      if (problem.code !== 'MESH_BLOB_MISSING' || message.type !== 'done') return;
      const { attempt, usage } = message;
      const text = `its output came late, and is not held any more: ${problem.message}`.slice(0, 1_000);
      const failed = { type: 'failed', attempt, usage, fault: 'node', code: problem.code, message: text } as const;
      voter().feed({ type: 'node-reported', node, bootId, messages: [failed] });
    } finally {
      this.#asked.delete(message.attempt);
    }
  }

  /** Without its log, when that is not held any more. Throws `MESH_UNREACHABLE`. */
  async #withHeldLog(message: OutboxMessage): Promise<OutboxMessage> {
    if ((message.type !== 'done' && message.type !== 'failed') || message.log === undefined) return message;
    try {
      await this.#options.blobs.checkHeld(message.log);
      return message;
    } catch (error) {
      if (asMeshError(error, 'MESH_UNREACHABLE').code !== 'MESH_BLOB_MISSING') throw error;
      const { log: _, ...rest } = message;
      return rest;
    }
  }
}
