import {
  decode,
  type InboxMessage,
  inboxEnvelope,
  jobState,
  nodeStatus,
  type OutboxMessage,
  outboxEnvelope,
  type RaftEnvelope,
  raftEnvelope,
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
    case 'raft':
      return describeRaft(decode(raftEnvelope, payload).content);
    default:
      return '';
  }
}

function describeRaft(content: RaftEnvelope['content']): string {
  if (content.kind === 'part') return `part ${content.part} of ${content.parts}`;
  if (content.kind === 'voters') return `these vote: ${content.link.voters.map(({ node }) => node).join(' ')}`;
  if (content.kind !== 'message') return `${content.kind} ${content.index} from byte ${content.offset}`;
  const { message } = content;
  const head = `${message.type} of term ${message.term}`;
  switch (message.type) {
    case 'append': {
      const { previousIndex, entries, commitIndex, round } = message;
      return `${head}, ${entries.length} after ${previousIndex}, committed ${commitIndex} (${round})`;
    }
    case 'append-answer':
      return `${head}: ${message.match === undefined ? 'not that' : `has ${message.match}`} (${message.round})`;
    case 'pre-vote-answer':
    case 'vote-answer':
      return `${head}: ${message.granted ? 'yes' : 'no'}`;
    default:
      return head;
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
    case 'history-request':
    case 'history':
    case 'request-failed':
    case 'preferences-request':
    case 'preferences':
    case 'trust-request':
    case 'trusted':
      return `${message.type} (${message.request})`;
    default:
      return `${message.type} ${message.attempt}`;
  }
}
