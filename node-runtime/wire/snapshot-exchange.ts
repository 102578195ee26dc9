import { decodeCbor, joinedBytes, limits, type RaftEnvelope } from '../contract/index.ts';
import type { VoterEvent, VoterSnapshot } from '../core/index.ts';
import type { Timer, Timers } from './timers.ts';

type Content = RaftEnvelope['content'];
type Ask = Content & { kind: 'snapshot-ask' };
type Chunk = Content & { kind: 'snapshot-chunk' };

export interface SnapshotExchangeOptions {
  readonly timers: Timers;
  readonly send: (to: string, content: Content) => void;
  /** Gives the newest snapshot on the disk; nothing comes of it when it cannot be read. */
  readonly read: (take: (snapshot: Uint8Array | undefined) => void) => void;
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
  readonly feed: (event: VoterEvent) => void;
  readonly onProblem: (text: string) => void;
  /** At most so much in a chunk. */
  readonly chunkBytes?: number;
}

interface Served {
  readonly index: number;
  readonly indexTerm: number;
  readonly bytes: Uint8Array;
  readonly sha256: Uint8Array;
}

interface Fetching {
  readonly from: string;
  readonly index: number;
  readonly term: number;
  /** Of the snapshot that comes: this one or a newer one. */
  coming: Pick<Chunk, 'index' | 'sha256'> | undefined;
  chunks: Uint8Array[];
  haveBytes: number;
  silences: number;
}

/** Without an answer for this long a chunk is asked for again, so many times. */
const againMs = 2_000;
const silencesMost = 10;
/** What is being served stays in memory for this long after the last question. */
const servedForMs = 30_000;

/** Brings a voter that has fallen behind the snapshot of another: in chunks, at the pace of the one that asks. */
export class SnapshotExchange {
  readonly #options: SnapshotExchangeOptions;
  #served: Served | undefined;
  #forget: Timer | undefined;
  #fetching: Fetching | undefined;
  #again: Timer | undefined;

  constructor(options: SnapshotExchangeOptions) {
    this.#options = options;
  }

  /** Another voter asks for a piece of ours. What is not on this disk yet is not answered: it asks again. */
  serve(from: string, ask: Ask): void {
    const isOld = this.#served === undefined || (ask.offset === 0 && this.#served.index < ask.index);
    if (!isOld) this.#answer(from, ask);
    else
      this.#options.read((bytes) => {
        if (bytes !== undefined) this.#served = this.#toServe(bytes);
        this.#answer(from, ask);
      });
  }

  #toServe(bytes: Uint8Array): Served {
    const { index, term } = decodeCbor(bytes) as VoterSnapshot;
    return { index, indexTerm: term, bytes, sha256: this.#options.sha256(bytes) };
  }

  #answer(from: string, ask: Ask): void {
    const { timers, send, chunkBytes = limits.raftPartBytes } = this.#options;
    const served = this.#served;
    if (served === undefined || served.index < ask.index) return;
    this.#forget?.cancel();
    this.#forget = timers.after(servedForMs, () => {
      this.#served = undefined;
    });
    const isSame = served.index === ask.index && served.indexTerm === ask.indexTerm;
    const offset = isSame ? Math.min(ask.offset, served.bytes.length) : 0;
    const bytes = served.bytes.subarray(offset, offset + chunkBytes);
    const { index, indexTerm, sha256 } = served;
    const sizeBytes = served.bytes.length;
    send(from, { kind: 'snapshot-chunk', index, indexTerm, offset, sizeBytes, sha256, bytes });
  }

  /** In the place of what is being fetched. */
  fetch(from: string, index: number, term: number): void {
    this.#fetching = { from, index, term, coming: undefined, chunks: [], haveBytes: 0, silences: 0 };
    this.#ask(this.#fetching, index, term);
  }

  #ask(fetching: Fetching, index: number, indexTerm: number): void {
    this.#options.send(fetching.from, { kind: 'snapshot-ask', index, indexTerm, offset: fetching.haveBytes });
    this.#again?.cancel();
    this.#again = this.#options.timers.after(againMs, () => {
      if (this.#fetching !== fetching) return;
      fetching.silences += 1;
      if (fetching.silences < silencesMost) this.#ask(fetching, index, indexTerm);
      else this.#fail(fetching, `${fetching.from} does not answer`);
    });
  }

  hear(from: string, chunk: Chunk): void {
    const fetching = this.#fetching;
    if (fetching?.from !== from || chunk.index < fetching.index) return;
    if (chunk.sizeBytes > limits.snapshotBytes) {
      this.#fail(fetching, `it has ${chunk.sizeBytes} bytes; snapshotBytes is ${limits.snapshotBytes}`);
      return;
    }
    const { coming } = fetching;
    // Of another one than the last: from its beginning, unless it is older.
    if (coming === undefined || coming.index !== chunk.index || !isEqual(coming.sha256, chunk.sha256)) {
      if (chunk.index < (coming?.index ?? 0)) return;
      fetching.chunks = [];
      fetching.haveBytes = 0;
      if (chunk.offset !== 0) {
        fetching.coming = undefined;
        this.#ask(fetching, chunk.index, chunk.indexTerm);
        return;
      }
      fetching.coming = chunk;
    }
    if (chunk.offset !== fetching.haveBytes) return; // twice, or late
    fetching.silences = 0;
    fetching.chunks.push(chunk.bytes);
    fetching.haveBytes += chunk.bytes.length;
    if (fetching.haveBytes < chunk.sizeBytes && chunk.bytes.length > 0)
      this.#ask(fetching, chunk.index, chunk.indexTerm);
    else this.#complete(fetching, chunk);
  }

  #complete(fetching: Fetching, { sha256 }: Chunk): void {
    const bytes = joinedBytes(fetching.chunks);
    if (!isEqual(this.#options.sha256(bytes), sha256)) {
      this.#fail(fetching, 'it is damaged');
      return;
    }
    this.#end();
    // Its voter read it back from its disk, checksum and all, before it sent it.
    const { index, term, configuration, ledger } = decodeCbor(bytes) as VoterSnapshot;
    this.#options.feed({ type: 'snapshot-fetched', index, term, configuration, ledger });
  }

  #fail({ from, index, term }: Fetching, why: string): void {
    this.#end();
    this.#options.onProblem(`the snapshot of ${from}: ${why}`);
    this.#options.feed({ type: 'snapshot-failed', index, term });
  }

  #end(): void {
    this.#fetching = undefined;
    this.#again?.cancel();
  }

  close(): void {
    this.#end();
    this.#forget?.cancel();
  }
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}
