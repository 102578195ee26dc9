import { type InboxMessage, limits } from '../../contract/index.ts';

/** One message for many outcomes that a node may forget, where the first of them stood. */
export function committedTogether(messages: readonly InboxMessage[]): readonly InboxMessage[] {
  let attempts: string[] | undefined;
  const together: InboxMessage[] = [];
  for (const message of messages) {
    if (message.type !== 'committed') {
      together.push(message);
      continue;
    }
    if (attempts === undefined || attempts.length + message.attempts.length > limits.messagesPerEnvelope) {
      attempts = [];
      together.push({ type: 'committed', attempts });
    }
    attempts.push(...message.attempts);
  }
  return together;
}
