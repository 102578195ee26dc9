import {
  decode,
  type InboxMessage,
  inboxEnvelope,
  jobState,
  nodeStatus,
  type OutboxMessage,
  outboxEnvelope,
  type Topics,
} from '@foremesh/node-runtime/contract';

/** What a message says, in a few words, for whoever reads a trace. */
export function describe(topics: Topics, topic: string, payload: Uint8Array): string {
  if (payload.length === 0) return 'cleared';
  switch (topics.parse(topic)?.kind) {
    case 'inbox': {
      const { term, messages } = decode(inboxEnvelope, payload);
      return `term ${term}: ${messages.map(describeOne).join(', ')}`;
    }
    case 'outbox':
      return decode(outboxEnvelope, payload).messages.map(describeOne).join(', ');
    case 'status': {
      const { online, bootId, seq } = decode(nodeStatus, payload);
      return `${bootId} is ${online ? 'online' : 'gone'} (${seq})`;
    }
    case 'state': {
      const { phase, term, revision } = decode(jobState, payload);
      return `${phase} (${term}.${revision})`;
    }
    default:
      return '';
  }
}

function describeOne(message: InboxMessage | OutboxMessage): string {
  switch (message.type) {
    case 'committed':
      return `forget ${message.attempts.join(' and ')}`;
    case 'inventory':
      return `has ${message.attempts.join(' and ') || 'nothing'} (${message.request})`;
    case 'inventory-request':
      return `what have you got (${message.request})`;
    case 'refused':
      return `not admitted: ${message.problem.message}`;
    default:
      return `${message.type} ${message.attempt}`;
  }
}
