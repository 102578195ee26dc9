import {
  asMeshError,
  type BlobAnswer,
  type BlobAsk,
  blobAsk,
  type DataReference,
  decode,
  decodeUnchecked,
  encode,
  isIdentifier,
  limits,
  MeshError,
  problemOf,
  type Topics,
  type Transport,
} from '../contract/index.ts';
import type { BlobStore } from './blob-store.ts';
import { BlobSweeps, isOfSweep, type SweepAsk } from './blob-sweeps.ts';
import { pack, unpack } from './compression.ts';
import { RecordIndexes } from './record-indexes.ts';

export interface BlobHolderOptions {
  readonly store: BlobStore;
  readonly topics: Topics;
  /** This holder's name in `blobs/<holder>/...`. */
  readonly holder: string;
  /** False for a cache that only gives; true unless said. */
  readonly acceptUploads?: boolean;
  /** At work at the same time (8), and waiting behind them (128: at most 16 MiB of chunks); more are dropped. */
  readonly maxOperations?: number;
  readonly maxQueued?: number;
  /** How often one who waits is told that the holder is at it (2000). */
  readonly busyMs?: number;
  /** Lets go, on the word of a leader, of what nobody has put or asked for within this time; without it, of nothing. */
  readonly graceMs?: number;
  /** What was malformed, dropped, or failed on the disk: for the log and `events`. */
  readonly onProblem?: (problem: MeshError) => void;
}

export interface BlobHolderStats {
  readonly answered: number;
  readonly failed: number;
  readonly malformed: number;
  readonly dropped: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

type AnswerBody = BlobAnswer extends infer T ? (T extends unknown ? Omit<T, 'v' | 'id'> : never) : never;

interface Operation {
  readonly connection: Connection;
  readonly requester: string;
  readonly ask: BlobAsk;
  readonly sinceMs: number;
  readonly indexing: boolean;
}

interface Connection {
  readonly transport: Transport;
  open: boolean;
  stopListening: () => void;
}

const longestMs = 600_000;

/** Serves the blobs of a store to whoever asks on `blobs/<holder>/<requester>/ask`. */
export class BlobHolder {
  private readonly options: BlobHolderOptions;
  private readonly indexes: RecordIndexes;
  private readonly connections = new Set<Connection>();
  /** Everything that is not answered yet, by requester and id: a repeated request waits for the first answer. */
  private readonly operations = new Map<string, Operation>();
  private readonly queue: Operation[] = [];
  private readonly counts = { answered: 0, failed: 0, malformed: 0, dropped: 0, sentBytes: 0, receivedBytes: 0 };
  private running = 0;
  private ticker: ReturnType<typeof setInterval> | undefined;
  private closed = false;
  private readonly sweeps: BlobSweeps;

  constructor(options: BlobHolderOptions) {
    this.options = options;
    this.sweeps = new BlobSweeps(options);
    this.indexes = new RecordIndexes(options.store);
  }

  /** Serves over this connection until it ends; call it again with the next one. Resolves once subscribed. */
  async attach(transport: Transport): Promise<void> {
    if (this.closed) throw new MeshError('MESH_UNREACHABLE', 'the blob holder is closed');
    const connection: Connection = { transport, open: true, stopListening: () => undefined };
    connection.stopListening = transport.listen((topic, payload) => this.receive(connection, topic, payload));
    this.connections.add(connection);
    void transport.closed.then(() => this.detach(connection));
    try {
      await transport.subscribe([this.filter()], 1);
    } catch (error) {
      this.detach(connection);
      throw error;
    }
  }

  stats(): BlobHolderStats {
    return { ...this.counts };
  }

  /** Stops serving; what is under way on the disk ends by itself. The store and the connections stay open. */
  async close(): Promise<void> {
    this.closed = true;
    const open = [...this.connections];
    for (const connection of open) this.detach(connection);
    await Promise.all(open.map(({ transport }) => transport.unsubscribe([this.filter()]).catch(() => undefined)));
  }

  private filter(): string {
    return this.options.topics.blobAsk(this.options.holder, '+');
  }

  private detach(connection: Connection): void {
    if (!connection.open) return;
    connection.open = false;
    connection.stopListening();
    this.connections.delete(connection);
    for (const [key, operation] of this.operations) {
      if (operation.connection === connection) this.operations.delete(key);
    }
    const left = this.queue.filter((operation) => operation.connection.open);
    this.queue.splice(0, this.queue.length, ...left);
    this.tick();
  }

  private receive(connection: Connection, topic: string, payload: Uint8Array): void {
    const parsed = this.options.topics.parse(topic);
    if (parsed?.kind !== 'blobAsk' || parsed.holder !== this.options.holder || !connection.open) return;
    const { requester } = parsed;
    let ask: BlobAsk;
    try {
      ask = decode(blobAsk, payload);
    } catch (error) {
      this.counts.malformed++;
      const problem = asMeshError(error, 'MESH_MESSAGE_MALFORMED');
      this.report(problem);
      const id = idOf(payload);
      if (id !== undefined) void this.send(connection, requester, id, { op: 'error', problem: problemOf(problem) });
      return;
    }
    this.counts.receivedBytes += payload.length;
    const key = `${requester}/${ask.id}`;
    if (this.operations.has(key)) return;
    const most = (this.options.maxOperations ?? 8) + (this.options.maxQueued ?? 128);
    if (this.operations.size >= most) {
      this.counts.dropped++;
      this.report(new MeshError('MESH_LIMIT_EXCEEDED', `maxQueued of the blob holder is passed: ${key} dropped`));
      return; // Its requester asks again after a while.
    }
    // An index reads a whole blob: it waits for other indexes, not in the way of everything else.
    const indexing = ask.op === 'index';
    const operation = { connection, requester, ask, sinceMs: performance.now(), indexing };
    this.operations.set(key, operation);
    this.tick();
    if (indexing) void this.run(operation);
    else {
      this.queue.push(operation);
      this.next();
    }
  }

  private next(): void {
    while (this.running < (this.options.maxOperations ?? 8)) {
      const operation = this.queue.shift();
      if (operation === undefined) return;
      this.running++;
      void this.run(operation).finally(() => {
        this.running--;
        this.next();
      });
    }
  }

  private async run(operation: Operation): Promise<void> {
    const { connection, requester, ask } = operation;
    let answer: AnswerBody;
    try {
      answer = isOfSweep(ask) ? this.sweeps.answer(requester, ask) : await this.answer(ask);
      this.counts.answered++;
    } catch (error) {
      this.counts.failed++;
      const problem = asMeshError(error, 'MESH_STORAGE_FAILED');
      if (problem.code === 'MESH_STORAGE_FAILED' || problem.code === 'MESH_BLOB_CORRUPT') this.report(problem);
      answer = { op: 'error', problem: problemOf(problem) };
    }
    const key = `${requester}/${ask.id}`;
    if (this.operations.get(key) === operation) this.operations.delete(key);
    this.tick();
    await this.send(connection, requester, ask.id, answer);
  }

  private async answer(ask: Exclude<BlobAsk, SweepAsk>): Promise<AnswerBody> {
    const { store } = this.options;
    const reference: DataReference = { blob: ask.blob, sizeBytes: ask.sizeBytes };
    if (ask.op !== 'get' && ask.op !== 'index' && this.options.acceptUploads === false) {
      throw new MeshError('MESH_NOT_AUTHORIZED', `${this.options.holder} takes no uploads`);
    }
    switch (ask.op) {
      case 'get': {
        const bytes = await this.read(reference, ask.part, ask.offset, ask.length);
        const packed = ask.accept?.includes('deflate')
          ? await pack(bytes)
          : { compression: 'none' as const, data: bytes };
        return { op: 'data', ...packed };
      }
      case 'begin':
        return { op: 'missing', ...store.begin(reference) };
      case 'put': {
        const bytes = await unpack(ask, limits.blobChunkBytes);
        if (ask.part === 'manifest') await store.writeManifest(reference, ask.offset, bytes);
        else await store.writeChunk(reference, ask.offset / limits.blobChunkBytes, bytes);
        return { op: 'stored' };
      }
      case 'commit':
        await store.commit(reference);
        return { op: 'committed' };
      case 'index':
        return { op: 'index', index: await this.indexes.of(reference, ask.by) };
    }
  }

  private async read(
    reference: DataReference,
    part: 'content' | 'manifest',
    offset: number,
    length: number,
  ): Promise<Uint8Array> {
    if (part === 'content') return this.options.store.read(reference, offset, offset + length);
    const manifest = await this.options.store.readManifest(reference);
    if (offset + length > manifest.length) {
      throw new MeshError('MESH_MESSAGE_MALFORMED', `the manifest has ${manifest.length} bytes`);
    }
    return manifest.subarray(offset, offset + length);
  }

  private async send(connection: Connection, requester: string, id: string, body: AnswerBody): Promise<void> {
    if (!connection.open) return;
    try {
      const payload = encode({ v: 1, id, ...body }, 'cbor');
      this.counts.sentBytes += payload.length;
      const topic = this.options.topics.blobAnswer(this.options.holder, requester);
      // A broker that stops acknowledging must not hold on to an operation longer than the connection lasts.
      await Promise.race([connection.transport.publish(topic, payload, { qos: 1 }), connection.transport.closed]);
    } catch (error) {
      if (connection.open) this.report(asMeshError(error, 'MESH_UNREACHABLE'));
    }
  }

  /** The ticker runs only while somebody waits. */
  private tick(): void {
    if (this.operations.size === 0) {
      clearInterval(this.ticker);
      this.ticker = undefined;
      return;
    }
    if (this.ticker !== undefined) return;
    const busyMs = this.options.busyMs ?? 2_000;
    this.ticker = setInterval(() => {
      const nowMs = performance.now();
      for (const { connection, requester, ask, sinceMs } of this.operations.values()) {
        const waitedMs = nowMs - sinceMs;
        if (waitedMs >= busyMs && waitedMs < longestMs) void this.send(connection, requester, ask.id, { op: 'busy' });
      }
    }, busyMs);
  }

  private report(problem: MeshError): void {
    this.options.onProblem?.(problem);
  }
}

function idOf(payload: Uint8Array): string | undefined {
  try {
    const id = (decodeUnchecked(payload) as { id?: unknown } | null)?.id;
    return typeof id === 'string' && isIdentifier(id) ? id : undefined;
  } catch {
    return undefined;
  }
}
