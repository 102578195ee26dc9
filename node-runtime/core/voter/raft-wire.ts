import {
  check,
  decode,
  decodeCbor,
  encode,
  encodeCbor,
  joinedBytes,
  limits,
  MeshError,
  type RaftEnvelope,
  type RaftWireMessage,
  raftEnvelope,
  raftMessage,
  type VotersLink,
} from '../../contract/index.ts';
import type { LedgerCommand } from '../ledger-commands.ts';
import type { RaftMessage } from '../raft/index.ts';

type Content = RaftEnvelope['content'];
type Part = Content & { kind: 'part' };

/** Messages between voters as payloads and back: commands as their CBOR, what is larger than a payload in parts. */
export class RaftWire {
  readonly #bootId: string;
  readonly #partBytes: number;
  #seq = 0;
  /** Of each sender, the parts of the newest message that came in parts. */
  readonly #parts = new Map<string, { readonly bootId: string; readonly seq: number; readonly parts: Uint8Array[] }>();

  /** What is larger than `partBytes` comes in parts of that size, or larger ones when there would be too many. */
  constructor(bootId: string, partBytes: number = limits.raftPartBytes) {
    this.#bootId = bootId;
    this.#partBytes = partBytes;
  }

  /** The payloads of a message, in order; a question for a vote shows what `chain` gives. Throws `MESH_LIMIT_EXCEEDED` when it has too many parts. */
  payloadsOf(message: RaftMessage<LedgerCommand>, chain: () => readonly VotersLink[] = () => []): Uint8Array[] {
    const wire = toWire(message);
    const bytes = encodeCbor(wire);
    this.#seq += 1;
    const size = Math.max(this.#partBytes, Math.ceil(bytes.length / limits.partsPerRaftMessage));
    const parts = Math.ceil(bytes.length / size);
    if (parts === 1)
      return [this.#payload({ kind: 'message', message: wire }, this.#seq, isQuestion(message) ? chain() : [])];
    if (size > limits.raftPartBytes) {
      throw new MeshError(
        'MESH_LIMIT_EXCEEDED',
        `a message of ${bytes.length} bytes to a voter; partsPerRaftMessage is ${limits.partsPerRaftMessage}`,
      );
    }
    return Array.from({ length: parts }, (_, part) => {
      const slice = bytes.subarray(part * size, (part + 1) * size);
      return this.#payload({ kind: 'part', part, parts, bytes: slice }, this.#seq);
    });
  }

  payloadOf(content: Content): Uint8Array {
    this.#seq += 1;
    return this.#payload(content, this.#seq);
  }

  #payload(content: Content, seq: number, chain: readonly VotersLink[] = []): Uint8Array {
    const shown = chain.length === 0 ? {} : { chain: [...chain] };
    return encode({ v: 1, bootId: this.#bootId, seq, ...shown, content } satisfies RaftEnvelope, 'cbor');
  }

  /** The message, once all of it is here. Throws what `decode` throws. */
  messageOf(from: string, envelope: RaftEnvelope): RaftMessage<LedgerCommand> | undefined {
    const { content } = envelope;
    if (content.kind === 'message') return fromWire(content.message);
    if (content.kind !== 'part') return undefined;
    const bytes = this.#join(from, envelope, content);
    return bytes === undefined ? undefined : fromWire(check(raftMessage, cborOf(bytes), 'MESH_MESSAGE_MALFORMED'));
  }

  #join(from: string, { bootId, seq }: RaftEnvelope, { part, parts, bytes }: Part): Uint8Array | undefined {
    let gathered = this.#parts.get(from);
    if (gathered?.bootId !== bootId || gathered.seq < seq) {
      gathered = { bootId, seq, parts: [] };
      this.#parts.set(from, gathered);
    } else if (gathered.seq > seq) return undefined; // of a message that was given up for a newer one
    gathered.parts[part] = bytes;
    for (let at = 0; at < parts; at += 1) if (gathered.parts[at] === undefined) return undefined;
    this.#parts.delete(from);
    return joinedBytes(gathered.parts);
  }
}

/** Throws `MESH_MESSAGE_MALFORMED`. */
export function readRaftEnvelope(payload: Uint8Array): RaftEnvelope {
  return decode(raftEnvelope, payload);
}

function cborOf(bytes: Uint8Array): unknown {
  try {
    return decodeCbor(bytes);
  } catch (error) {
    throw new MeshError('MESH_MESSAGE_MALFORMED', `not valid CBOR: ${(error as Error).message}`, { cause: error });
  }
}

function isQuestion({ type }: RaftMessage<LedgerCommand>): boolean {
  return type === 'pre-vote-request' || type === 'vote-request';
}

function toWire(message: RaftMessage<LedgerCommand>): RaftWireMessage {
  if (message.type !== 'append') return message as RaftWireMessage;
  const entries = message.entries.map(({ command, ...entry }) => ({
    ...entry,
    ...(command === undefined ? {} : { command: encodeCbor(command) }),
  }));
  return { ...message, entries } as RaftWireMessage;
}

function fromWire(message: RaftWireMessage): RaftMessage<LedgerCommand> {
  if (message.type !== 'append') return message as RaftMessage<LedgerCommand>;
  const entries = message.entries.map(({ command, ...entry }) => ({
    ...entry,
    ...(command === undefined ? {} : { command: cborOf(command) as LedgerCommand }),
  }));
  return { ...message, entries } as RaftMessage<LedgerCommand>;
}
