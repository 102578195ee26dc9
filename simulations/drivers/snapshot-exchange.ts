import { createHash } from 'node:crypto';
import { decodeCbor, joinedBytes, type RaftEnvelope } from '@foremesh/node-runtime/contract';
import type { VoterEvent, VoterSnapshot } from '@foremesh/node-runtime/core';
import type { Lifetime } from '../engine/machine.ts';
import { pieceBytes } from '../world.ts';

type Content = RaftEnvelope['content'];
type Ask = Content & { kind: 'snapshot-ask' };
type Chunk = Content & { kind: 'snapshot-chunk' };

export interface SnapshotExchangeOptions {
  readonly life: Lifetime;
  readonly send: (to: string, content: Content) => void;
  /** The newest snapshot that is on the disk. */
  readonly read: () => Uint8Array | undefined;
  readonly feed: (event: VoterEvent) => void;
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
  coming: { readonly index: number; readonly sha256: string } | undefined;
  chunks: Uint8Array[];
  haveBytes: number;
  silences: number;
  asked: number;
}

const againMs = 2_000;
const silencesMost = 10;

/** Brings a voter that has fallen behind the snapshot of another, as `shell/voter/snapshot-exchange.ts`. */
export class VirtualSnapshotExchange {
  readonly #options: SnapshotExchangeOptions;
  #served: Served | undefined;
  #fetching: Fetching | undefined;

  constructor(options: SnapshotExchangeOptions) {
    this.#options = options;
  }

  /** What is not on this disk yet is not answered: it is asked for again. */
  serve(from: string, ask: Ask): void {
    if (this.#served === undefined || (ask.offset === 0 && this.#served.index < ask.index)) this.#load();
    const served = this.#served;
    if (served === undefined || served.index < ask.index) return;
    const isSame = served.index === ask.index && served.indexTerm === ask.indexTerm;
    const offset = isSame ? Math.min(ask.offset, served.bytes.length) : 0;
    const { index, indexTerm, sha256 } = served;
    const sizeBytes = served.bytes.length;
    const bytes = served.bytes.subarray(offset, offset + pieceBytes);
    this.#options.send(from, { kind: 'snapshot-chunk', index, indexTerm, offset, sizeBytes, sha256, bytes });
  }

  #load(): void {
    const bytes = this.#options.read();
    if (bytes === undefined) return;
    const { index, term } = decodeCbor(bytes) as VoterSnapshot;
    this.#served = { index, indexTerm: term, bytes, sha256: createHash('sha256').update(bytes).digest() };
  }

  /** In the place of what is being fetched. */
  fetch(from: string, index: number, term: number): void {
    this.#fetching = { from, index, term, coming: undefined, chunks: [], haveBytes: 0, silences: 0, asked: 0 };
    this.#ask(this.#fetching, index, term);
  }

  #ask(fetching: Fetching, index: number, indexTerm: number): void {
    this.#options.send(fetching.from, { kind: 'snapshot-ask', index, indexTerm, offset: fetching.haveBytes });
    fetching.asked += 1;
    const { asked } = fetching;
    this.#options.life.after(againMs, () => {
      if (this.#fetching !== fetching || fetching.asked !== asked) return;
      fetching.silences += 1;
      if (fetching.silences < silencesMost) this.#ask(fetching, index, indexTerm);
      else this.#fail(fetching);
    });
  }

  hear(from: string, chunk: Chunk): void {
    const fetching = this.#fetching;
    if (fetching?.from !== from || chunk.index < fetching.index) return;
    const sha256 = Buffer.from(chunk.sha256).toString('hex');
    if (fetching.coming?.index !== chunk.index || fetching.coming.sha256 !== sha256) {
      if (chunk.offset !== 0 || chunk.index < (fetching.coming?.index ?? 0)) return;
      fetching.coming = { index: chunk.index, sha256 };
      fetching.chunks = [];
      fetching.haveBytes = 0;
    }
    if (chunk.offset !== fetching.haveBytes) return; // twice, or late
    fetching.silences = 0;
    fetching.chunks.push(chunk.bytes);
    fetching.haveBytes += chunk.bytes.length;
    if (fetching.haveBytes < chunk.sizeBytes) this.#ask(fetching, chunk.index, chunk.indexTerm);
    else this.#complete(fetching, sha256);
  }

  #complete(fetching: Fetching, sha256: string): void {
    const bytes = joinedBytes(fetching.chunks);
    if (createHash('sha256').update(bytes).digest('hex') !== sha256) {
      this.#fail(fetching);
      return;
    }
    this.#fetching = undefined;
    const { index, term, configuration, ledger } = decodeCbor(bytes) as VoterSnapshot;
    this.#options.feed({ type: 'snapshot-fetched', index, term, configuration, ledger });
  }

  #fail({ index, term }: Fetching): void {
    this.#fetching = undefined;
    this.#options.feed({ type: 'snapshot-failed', index, term });
  }
}
