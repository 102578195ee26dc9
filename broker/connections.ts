import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { BrokerLimits } from './limits.ts';
import type { Incidents } from './log.ts';
import { PacketGate, packetRules } from './packet-gate.ts';

/** Why we ended a connection. `kind` is a counter's name. */
export class Dropped extends Error {
  readonly kind: string;

  constructor(kind: string, message: string) {
    super(message);
    this.name = 'Dropped';
    this.kind = kind;
  }
}

interface Connection {
  /** What Aedes reads and writes: the socket itself, or a WebSocket's stream over it. */
  readonly stream: Duplex;
  readonly socket: Socket;
  readonly remote: string;
  admitted: boolean;
  /** The last time the socket took bytes, as far as the sweep saw; undefined while nothing waits. */
  stuckSinceMs: number | undefined;
  progress: string;
}

/**
 * Every open connection: how many there may be, what their bytes may declare, and whether their peers still read.
 */
export class Connections {
  readonly #limits: BrokerLimits;
  readonly #incidents: Incidents;
  readonly #rules: ReturnType<typeof packetRules>;
  readonly #connections = new Map<Duplex, Connection>();
  readonly #sweep: NodeJS.Timeout;
  #pending = 0;

  constructor(limits: BrokerLimits, incidents: Incidents) {
    this.#limits = limits;
    this.#incidents = incidents;
    this.#rules = packetRules(limits);
    this.#sweep = setInterval(() => this.#dropFrozen(), Math.max(20, limits.frozenMs / 10));
    this.#sweep.unref();
  }

  get size(): number {
    return this.#connections.size;
  }

  /** False when there are too many: the caller ends the connection. Otherwise `stream` is ready for Aedes. */
  add(stream: Duplex, socket: Socket): boolean {
    const remote = `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? 0}`;
    const passed =
      this.#connections.size >= this.#limits.connections
        ? 'connections'
        : this.#pending >= this.#limits.connectionsPending
          ? 'connectionsPending'
          : undefined;
    if (passed !== undefined) {
      this.#incidents.report(passed, { remote, allowed: this.#limits[passed] }, `a connection was refused: ${passed}`);
      return false;
    }
    const connection: Connection = { stream, socket, remote, admitted: false, stuckSinceMs: undefined, progress: '' };
    this.#connections.set(stream, connection);
    this.#pending += 1;
    stream.once('close', () => {
      this.#connections.delete(stream);
      if (!connection.admitted) this.#pending -= 1;
    });
    guardReads(stream, new PacketGate(this.#rules));
    return true;
  }

  admitted(stream: Duplex): void {
    const connection = this.#connections.get(stream);
    if (connection === undefined || connection.admitted) return;
    connection.admitted = true;
    this.#pending -= 1;
  }

  remote(stream: Duplex): string {
    return this.#connections.get(stream)?.remote ?? '?';
  }

  /** The socket under the stream: it knows which certificate the peer has shown. */
  socket(stream: Duplex): Socket | undefined {
    return this.#connections.get(stream)?.socket;
  }

  destroyAll(): void {
    clearInterval(this.#sweep);
    for (const { stream, socket } of this.#connections.values()) {
      stream.destroy();
      socket.destroy();
    }
  }

  /**
   * A peer that reads slowly makes its socket take a little now and then; a frozen one makes it take nothing. Aedes' own
   * `drainTimeout` cannot tell them apart: it ends whoever has not read everything in time.
   */
  #dropFrozen(): void {
    const nowMs = performance.now();
    for (const connection of this.#connections.values()) {
      const { stream, socket } = connection;
      if (!stream.writableNeedDrain) {
        connection.stuckSinceMs = undefined;
        continue;
      }
      const progress = progressOf(socket);
      if (connection.stuckSinceMs === undefined || progress !== connection.progress) {
        connection.stuckSinceMs = nowMs;
        connection.progress = progress;
      } else if (nowMs - connection.stuckSinceMs >= this.#limits.frozenMs) {
        const waiting = `${stream.writableLength} bytes wait`;
        stream.destroy(new Dropped('frozenMs', `it has read nothing for ${this.#limits.frozenMs} ms, ${waiting}`));
        socket.destroy();
      }
    }
  }
}

/** Changes whenever the kernel takes bytes. `writeQueueSize` (libuv's) shows the progress inside one large write. */
function progressOf(socket: Socket): string {
  const { _handle: handle } = socket as { _handle?: { writeQueueSize?: number } | null };
  return `${socket.bytesWritten - socket.writableLength} ${handle?.writeQueueSize}`;
}

/** Aedes reads a connection by `stream.read` alone: what it gets passes the gate first, without a copy. */
function guardReads(stream: Duplex, gate: PacketGate): void {
  const read = stream.read.bind(stream);
  stream.read = (size?: number) => {
    const chunk: unknown = read(size);
    if (!(chunk instanceof Uint8Array)) return chunk;
    const problem = gate.inspect(chunk);
    if (problem === undefined) return chunk;
    stream.destroy(new Dropped('packet', problem));
    return null;
  };
}
