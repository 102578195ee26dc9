import { createHash } from 'node:crypto';
import { decodeCbor, limits, type RaftEnvelope } from '../../contract/index.ts';
import type { VoterEvent, VoterSnapshot } from '../../core/index.ts';

type Content = RaftEnvelope['content'];
type Ask = Content & { kind: 'snapshot-ask' };
type Chunk = Content & { kind: 'snapshot-chunk' };

export interface SnapshotExchangeOptions {
  readonly send: (to: string, content: Content) => void;
  readonly read: () => Promise<Uint8Array | undefined>;
  readonly feed: (event: VoterEvent) => void;
  readonly onProblem: (text: string) => void;
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
  coming: { readonly index: number; readonly sizeBytes: number } | undefined;
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
  #forget: NodeJS.Timeout | undefined;
  #fetching: Fetching | undefined;
  #again: NodeJS.Timeout | undefined;

  constructor(options: SnapshotExchangeOptions) {
    this.#options = options;
  }

  /** Another voter asks for a piece of ours. What is not on this disk yet is not answered: it asks again. */
  async serve(from: string, ask: Ask): Promise<void> {
    if (this.#served === undefined || (ask.offset === 0 && this.#served.index < ask.index)) await this.#load();
    const served = this.#served;
    if (served === undefined || served.index < ask.index) return;
    clearTimeout(this.#forget);
    this.#forget = setTimeout(() => {
      this.#served = undefined;
    }, servedForMs).unref();
    const isSame = served.index === ask.index && served.indexTerm === ask.indexTerm;
    const offset = isSame ? Math.min(ask.offset, served.bytes.length) : 0;
    const bytes = served.bytes.subarray(offset, offset + limits.raftPartBytes);
    const { index, indexTerm, sha256 } = served;
    this.#options.send(from, {
      kind: 'snapshot-chunk',
      index,
      indexTerm,
      offset,
      sizeBytes: served.bytes.length,
      sha256,
      bytes,
    });
  }

  async #load(): Promise<void> {
    const bytes = await this.#options.read();
    if (bytes === undefined) return;
    const { index, term } = decodeCbor(bytes) as VoterSnapshot;
    this.#served = { index, indexTerm: term, bytes, sha256: createHash('sha256').update(bytes).digest() };
  }

  /** In the place of what is being fetched. */
  fetch(from: string, index: number, term: number): void {
    this.#fetching = { from, index, term, coming: undefined, chunks: [], haveBytes: 0, silences: 0 };
    this.#ask(this.#fetching, index, term);
  }

  #ask(fetching: Fetching, index: number, indexTerm: number): void {
    this.#options.send(fetching.from, { kind: 'snapshot-ask', index, indexTerm, offset: fetching.haveBytes });
    clearTimeout(this.#again);
    this.#again = setTimeout(() => {
      if (this.#fetching !== fetching) return;
      fetching.silences += 1;
      if (fetching.silences < silencesMost) this.#ask(fetching, index, indexTerm);
      else this.#fail(fetching, `${fetching.from} does not answer`);
    }, againMs);
  }

  hear(from: string, chunk: Chunk): void {
    const fetching = this.#fetching;
    if (fetching?.from !== from || chunk.index < fetching.index) return;
    if (chunk.sizeBytes > limits.snapshotBytes) {
      this.#fail(fetching, `it has ${chunk.sizeBytes} bytes; snapshotBytes is ${limits.snapshotBytes}`);
      return;
    }
    if (fetching.coming?.index !== chunk.index) {
      if (chunk.offset !== 0 || chunk.index < (fetching.coming?.index ?? 0)) return;
      fetching.coming = { index: chunk.index, sizeBytes: chunk.sizeBytes };
      fetching.chunks = [];
      fetching.haveBytes = 0;
    }
    if (chunk.offset !== fetching.haveBytes || chunk.sizeBytes !== fetching.coming.sizeBytes) return; // twice, or late
    fetching.silences = 0;
    fetching.chunks.push(chunk.bytes);
    fetching.haveBytes += chunk.bytes.length;
    if (fetching.haveBytes < chunk.sizeBytes && chunk.bytes.length > 0)
      this.#ask(fetching, chunk.index, chunk.indexTerm);
    else this.#complete(fetching, chunk);
  }

  #complete(fetching: Fetching, { sha256 }: Chunk): void {
    const bytes = Buffer.concat(fetching.chunks);
    if (!createHash('sha256').update(bytes).digest().equals(sha256)) {
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
    clearTimeout(this.#again);
  }

  close(): void {
    this.#end();
    clearTimeout(this.#forget);
  }
}
