import type { OutboxMessage } from '../contract/index.ts';
import { Outbox, type OutboxOptions } from './outbox.ts';

/** Reports that follow each other faster than this go together. */
const reportGatherMs = 4;
/** That a task has begun is news only when it does not end at once. */
const startedPatienceMs = 20;

/** What a node reports to its leader. */
export function nodeOutbox(
  options: Omit<OutboxOptions<OutboxMessage>, 'gatherMs' | 'patienceMs' | 'tidy'>,
): Outbox<OutboxMessage> {
  return new Outbox<OutboxMessage>({
    ...options,
    gatherMs: reportGatherMs,
    patienceMs: ({ type }) => (type === 'started' ? startedPatienceMs : 0),
    tidy: withoutStartsOfEnded,
  });
}

function withoutStartsOfEnded(messages: readonly OutboxMessage[]): readonly OutboxMessage[] {
  const ended = new Set<string>();
  for (const message of messages) if (message.type === 'done' || message.type === 'failed') ended.add(message.attempt);
  return messages.filter((message) => message.type !== 'started' || !ended.has(message.attempt));
}
