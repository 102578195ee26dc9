import type { BrokerLimits } from './limits.ts';

/** Fixed header of a packet a client may send: the flags it must carry (undefined: any) and its length, in bytes. */
interface PacketRule {
  readonly name: string;
  readonly flags: number | undefined;
  readonly least: number;
  readonly most: number;
}

/**
 * Watches one connection's bytes on their way to the parser, reading fixed headers only: a packet that declares more
 * than its kind may have is refused at its header, before anything of it is gathered. Aedes' parser itself collects
 * whatever length a stranger declares, up to 256 MiB.
 */
export class PacketGate {
  readonly #rules: ReadonlyMap<number, PacketRule>;
  /** Bytes of the current packet's body still to come. */
  #bodyBytes = 0;
  #rule: PacketRule | undefined;
  #length = 0;
  #lengthBytes = 0;
  #connected = false;

  constructor(rules: ReadonlyMap<number, PacketRule>) {
    this.#rules = rules;
  }

  /** Looks at the next bytes. Returns what is wrong, after which the connection must end. */
  inspect(chunk: Uint8Array): string | undefined {
    let at = 0;
    while (at < chunk.length) {
      if (this.#bodyBytes > 0) {
        const skipped = Math.min(this.#bodyBytes, chunk.length - at);
        this.#bodyBytes -= skipped;
        at += skipped;
        continue;
      }
      const byte = chunk[at]!;
      at += 1;
      const problem = this.#rule === undefined ? this.#begin(byte) : this.#lengthen(byte, this.#rule);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  #begin(byte: number): string | undefined {
    const type = byte >> 4;
    const rule = this.#rules.get(type);
    if (rule === undefined) return `packet type ${type} is not for clients to send`;
    if ((type === connectType) === this.#connected) {
      return this.#connected ? 'a second CONNECT' : `${rule.name} before CONNECT`;
    }
    if (rule.flags !== undefined && (byte & 0x0f) !== rule.flags) return `wrong flags on ${rule.name}`;
    if (type === publishType && (byte & 0x06) === 0x06) return 'QoS 3 does not exist';
    this.#connected = true;
    this.#rule = rule;
    this.#length = 0;
    this.#lengthBytes = 0;
    return undefined;
  }

  #lengthen(byte: number, rule: PacketRule): string | undefined {
    this.#length += (byte & 0x7f) * 128 ** this.#lengthBytes;
    this.#lengthBytes += 1;
    if (this.#length > rule.most) return `${rule.name} may have ${rule.most} bytes, declares at least ${this.#length}`;
    if ((byte & 0x80) !== 0) return this.#lengthBytes === 4 ? 'a length field of more than 4 bytes' : undefined;
    if (this.#length < rule.least) return `${rule.name} has at least ${rule.least} bytes, declares ${this.#length}`;
    this.#bodyBytes = this.#length;
    this.#rule = undefined;
    return undefined;
  }
}

const connectType = 1;
const publishType = 3;

export function packetRules(limits: BrokerLimits): ReadonlyMap<number, PacketRule> {
  const acknowledgement = (name: string, flags: number) => ({ name, flags, least: 2, most: 2 });
  return new Map<number, PacketRule>([
    [connectType, { name: 'CONNECT', flags: 0, least: 10, most: limits.connectPacketBytes }],
    [publishType, { name: 'PUBLISH', flags: undefined, least: 3, most: limits.publishPacketBytes }],
    [4, acknowledgement('PUBACK', 0)],
    [5, acknowledgement('PUBREC', 0)],
    [6, acknowledgement('PUBREL', 2)],
    [7, acknowledgement('PUBCOMP', 0)],
    [8, { name: 'SUBSCRIBE', flags: 2, least: 6, most: limits.subscribePacketBytes }],
    [10, { name: 'UNSUBSCRIBE', flags: 2, least: 5, most: limits.subscribePacketBytes }],
    [12, { name: 'PINGREQ', flags: 0, least: 0, most: 0 }],
    [14, { name: 'DISCONNECT', flags: 0, least: 0, most: 0 }],
  ]);
}
