import type { Socket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import type { MulticastDNS } from 'multicast-dns';
import { type HeardRecord, isOnLink, type LocalRecord, limits, mayConcernUs } from '../contract/index.ts';

/** One IPv4 address of this machine, and the network that it is of. */
export interface LinkAddress {
  readonly address: string;
  readonly netmask: string;
}

/** What somebody on the link has said: to all, or to us. */
export interface LinkPacket {
  readonly isQuery: boolean;
  readonly id: number;
  readonly questions: readonly HeardRecord[];
  /** Its answers, and what it adds to them. */
  readonly records: readonly HeardRecord[];
  readonly from: { readonly address: string; readonly port: number };
}

/** Who asked from a port of its own wants the answer there, with its number and its question (RFC 6762, section 6.7). */
export interface Asker {
  readonly id: number;
  readonly questions: readonly HeardRecord[];
  readonly address: string;
  readonly port: number;
}

export interface LinkOptions {
  readonly onPacket: (packet: LinkPacket) => void;
  /** Something cannot be sent or heard; the link stays, and may do so again. */
  readonly onProblem: (error: Error) => void;
}

/** mDNS on one link. */
export interface LocalLink {
  readonly at: LinkAddress;
  /** To all, or to one. Never rejects: what cannot be sent is told to `onProblem`. Resolves once the system has the packet. */
  answer(records: readonly LocalRecord[], to?: Asker): Promise<void>;
  ask(name: string): Promise<void>;
  /** Listens on the link again, should its interface have gone and come back. */
  refresh(): void;
  close(): Promise<void>;
}

/** RFC 6762: the port, and its group. */
export const localPort = 5353;
const group = '224.0.0.251';

/** The addresses of this machine in networks that have others: the first `localLinks`. */
export function ownLinks(): LinkAddress[] {
  const found = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const outer = found.filter(({ family, internal }) => family === 'IPv4' && !internal);
  return outer.slice(0, limits.localLinks).map(({ address, netmask }) => ({ address, netmask }));
}

/**
 * Opens mDNS on one link, for as long as nobody closes it. What comes from elsewhere than the link, or does not concern
 * this service, is dropped before it is decoded. Rejects with the system's error when the port cannot be had.
 */
export async function openLocalLink(at: LinkAddress, { onPacket, onProblem }: LinkOptions): Promise<LocalLink> {
  // Loaded here: a device needs neither before it looks for a broker.
  const [{ createSocket }, { default: multicastDns }] = await Promise.all([
    import('node:dgram'),
    import('multicast-dns'),
  ]);
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  // Bound to all addresses: a socket that is bound to one of them hears nothing that is said to the group.
  const mdns = multicastDns({ socket, interface: at.address, bind: '0.0.0.0' });
  guard(socket, at);
  mdns.on('packet', (packet: Decoded, from: LinkPacket['from']) => {
    onPacket({
      isQuery: packet.type === 'query',
      id: packet.id,
      questions: packet.questions,
      records: [...packet.answers, ...packet.additionals],
      from,
    });
  });
  mdns.on('warning', onProblem);
  await new Promise<void>((resolve, reject) => {
    let isOpen = false;
    // Kept: one failure may be told twice.
    mdns.on('error', (error) => {
      if (isOpen) return onProblem(error);
      mdns.destroy();
      reject(error);
    });
    mdns.once('ready', () => {
      isOpen = true;
      resolve();
    });
  });
  return new OpenLink(at, socket, mdns, onProblem);
}

interface Decoded {
  readonly type: string;
  readonly id: number;
  readonly questions: HeardRecord[];
  readonly answers: HeardRecord[];
  readonly additionals: HeardRecord[];
}

/**
 * Puts what is dropped before the decoder. Every socket of the port hears the groups of all interfaces, so that each takes
 * what comes from its own network alone; and a flood costs what `localPacketsPerSecond` costs.
 */
function guard(socket: Socket, at: LinkAddress): void {
  const decode = socket.listeners('message') as ((bytes: Buffer, from: LinkPacket['from']) => void)[];
  socket.removeAllListeners('message');
  let windowStartMs = performance.now();
  let taken = 0;
  socket.on('message', (bytes, from) => {
    if (!isOnLink(from.address, at) || !mayConcernUs(bytes)) return;
    const nowMs = performance.now();
    if (nowMs - windowStartMs >= 1_000) [windowStartMs, taken] = [nowMs, 0];
    taken += 1;
    if (taken > limits.localPacketsPerSecond) return;
    for (const listener of decode) listener(bytes, from);
  });
}

class OpenLink implements LocalLink {
  readonly at: LinkAddress;
  readonly #socket: Socket;
  readonly #mdns: MulticastDNS;
  readonly #onProblem: (error: Error) => void;

  constructor(at: LinkAddress, socket: Socket, mdns: MulticastDNS, onProblem: (error: Error) => void) {
    this.at = at;
    this.#socket = socket;
    this.#mdns = mdns;
    this.#onProblem = onProblem;
  }

  answer(records: readonly LocalRecord[], to?: Asker): Promise<void> {
    const answers = records.map(({ ttlSeconds, data, ...record }) => ({
      ...record,
      // A plain resolver keeps what it heard for ten seconds at most, and knows no bit that replaces.
      ttl: to === undefined ? ttlSeconds : Math.min(10, ttlSeconds),
      flush: to === undefined && record.type !== 'PTR',
      data: Array.isArray(data) ? [...data] : data,
    }));
    const packet = { answers, ...(to === undefined ? {} : { id: to.id, questions: to.questions }) };
    const place = to === undefined ? undefined : { address: to.address, port: to.port };
    return this.#sent((done) => this.#mdns.respond(packet as Parameters<MulticastDNS['respond']>[0], place, done));
  }

  ask(name: string): Promise<void> {
    return this.#sent((done) => this.#mdns.query({ questions: [{ name, type: 'PTR' }] }, done));
  }

  refresh(): void {
    try {
      this.#socket.addMembership(group, this.at.address);
      this.#socket.setMulticastInterface(this.at.address);
    } catch (error) {
      // In use: it is a member still, which is the rule.
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') this.#onProblem(error as Error);
    }
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#mdns.destroy(resolve));
  }

  #sent(send: (done: (error: Error | null) => void) => void): Promise<void> {
    return new Promise((resolve) => {
      try {
        send((error) => {
          if (error) this.#onProblem(error);
          resolve();
        });
      } catch (error) {
        this.#onProblem(error as Error);
        resolve();
      }
    });
  }
}
