import {
  decode,
  decodeCbor,
  encode,
  encodeCbor,
  limits,
  type RaftEnvelope,
  type RaftWireMessage,
  raftMessage,
} from '@foremesh/node-runtime/contract';
import type { LedgerCommand, RaftMessage } from '@foremesh/node-runtime/core';

type Content = RaftEnvelope['content'];
type Part = Content & { kind: 'part' };

/** Small, so that messages in parts and snapshots in chunks are everyday things here. */
export const pieceBytes = 6_000;

/** Messages between voters as payloads and back, as `shell/voter/raft-wire.ts`. */
export class VirtualRaftWire {
  readonly #bootId: string;
  #seq = 0;
  /** Of each sender, the parts of the newest message that came in parts. */
  readonly #parts = new Map<string, { readonly bootId: string; readonly seq: number; readonly parts: Uint8Array[] }>();

  constructor(bootId: string) {
    this.#bootId = bootId;
  }

  payloadsOf(message: RaftMessage<LedgerCommand>): Uint8Array[] {
    const wire = toWire(message);
    const whole = this.payloadOf({ kind: 'message', message: wire });
    if (whole.length <= pieceBytes) return [whole];
    const bytes = encodeCbor(wire);
    const size = Math.max(pieceBytes, Math.ceil(bytes.length / limits.partsPerRaftMessage));
    const parts = Math.ceil(bytes.length / size);
    if (parts === 1) return [whole];
    return Array.from({ length: parts }, (_, part) => {
      const slice = bytes.subarray(part * size, (part + 1) * size);
      return this.#payload({ kind: 'part', part, parts, bytes: slice });
    });
  }

  payloadOf(content: Content): Uint8Array {
    this.#seq += 1;
    return this.#payload(content);
  }

  #payload(content: Content): Uint8Array {
    return encode({ v: 1, bootId: this.#bootId, seq: this.#seq, content } satisfies RaftEnvelope, 'cbor');
  }

  /** The message, once all of it is here. */
  messageOf(from: string, envelope: RaftEnvelope): RaftMessage<LedgerCommand> | undefined {
    const { content } = envelope;
    if (content.kind === 'message') return fromWire(content.message);
    if (content.kind !== 'part') return undefined;
    const bytes = this.#join(from, envelope, content);
    return bytes === undefined ? undefined : fromWire(decode(raftMessage, bytes));
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
    return joined(gathered.parts);
  }
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
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
    ...(command === undefined ? {} : { command: decodeCbor(command) as LedgerCommand }),
  }));
  return { ...message, entries } as RaftMessage<LedgerCommand>;
}
