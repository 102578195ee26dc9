import { createHash } from 'node:crypto';
import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { encodeCbor, limits, MeshError } from '../../contract/index.ts';
import {
  createVoter,
  type Instant,
  stepVoter,
  type VoterEffect,
  type VoterEvent,
  type VoterOptions,
  type VoterRestored,
} from '../../core/index.ts';
import { holdModel } from '../foresight/shelf.ts';
import { encodeFrame, readFrames } from '../frames.ts';

type Start = Pick<VoterOptions, 'id' | 'bootId' | 'holders' | 'founders' | 'profile' | 'config' | 'publicKey'> & {
  /** Of its policy; what a release of before did not say is as it was then. */
  readonly looksAhead?: boolean;
};

interface Beginning {
  readonly v: 1;
  readonly release: string;
  readonly start: Start;
  readonly restored: VoterRestored;
}

interface Line {
  readonly at: Instant;
  readonly event: VoterEvent;
  /** SHA-256 of the CBOR of the effects. */
  readonly effects: Uint8Array;
}

/**
 * Everything that ever came into the machine of a voter, in order, with the time and a hash of what it answered: the
 * machine has no other input, so that `replayJournal` lives through the same again. For looking into what happened, not for
 * safety: it is written without fsync, and ends at its limit.
 */
export class Journal {
  readonly #stream: WriteStream;
  readonly #log: Logger;
  #bytes = 0;
  #ended = false;

  private constructor(stream: WriteStream, log: Logger) {
    this.#stream = stream;
    this.#log = log;
    stream.on('error', (error) => this.#end(`the journal cannot be written: ${error.message}`));
  }

  /** A new file, `<node>-<boot>.journal`. Throws `MESH_STORAGE_FAILED`. */
  static async create(directory: string, beginning: Omit<Beginning, 'v'>, log: Logger): Promise<Journal> {
    const { id, bootId } = beginning.start;
    const file = join(directory, `${id}-${bootId}.journal`);
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await (await open(file, 'wx', 0o600)).close();
    } catch (error) {
      throw new MeshError('MESH_STORAGE_FAILED', `no journal can be begun: ${(error as Error).message}`, {
        where: file,
        mend: 'name a folder that this user can write to',
        cause: error,
      });
    }
    const journal = new Journal(createWriteStream(file, { flags: 'a' }), log);
    journal.#write({ v: 1, ...beginning } satisfies Beginning);
    return journal;
  }

  /** To be called before the effects are carried out: they show state that goes on changing. */
  record(event: VoterEvent, at: Instant, effects: readonly VoterEffect[]): void {
    if (!this.#ended) this.#write({ at, event, effects: digestOf(effects) } satisfies Line);
  }

  #write(value: unknown): void {
    const frame = encodeFrame(value);
    this.#bytes += frame.length;
    if (this.#bytes > limits.journalBytes) this.#end(`journalBytes is ${limits.journalBytes}: the journal ends here`);
    else this.#stream.write(frame);
  }

  #end(why: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#log.warn(why);
    this.#stream.end();
  }

  close(): Promise<void> {
    this.#ended = true;
    return new Promise((resolve) => this.#stream.end(() => resolve()));
  }
}

export interface Replayed {
  readonly node: string;
  readonly release: string;
  readonly events: number;
  readonly effects: number;
  /** The process was killed while it wrote: what came after is not known. */
  readonly torn: boolean;
  /** The first event, from 1, that was answered with something else than in its time. */
  readonly differsAt?: { readonly event: number; readonly type: string };
}

/** Lives through a journal again. Throws `MESH_JOURNAL_INVALID`. */
export async function replayJournal(
  file: string,
  policy: VoterOptions['policy'],
  onProgress: (done: number, of: number) => void = () => undefined,
): Promise<Replayed> {
  const { values, fault } = readFrames(await read(file));
  const [first, ...lines] = values as [Beginning | undefined, ...Line[]];
  if (first?.v !== 1 || first.start === undefined) throw invalid(file, 'this is not the journal of a voter');
  if (fault === 'damaged') throw invalid(file, `damaged after event ${lines.length}`);
  const { start, restored, release } = first;
  const { looksAhead = policy.looksAhead } = start;
  const voter = createVoter({ ...start, policy: { ...policy, looksAhead } }, restored);
  const head = { node: start.id, release, torn: fault === 'torn' };
  let effects = 0;
  for (const [number, { at, event, effects: expected }] of lines.entries()) {
    // What was read then is read again.
    if (event.type === 'model-read') await holdModel(event.weights);
    const answered = stepVoter(voter, event, at);
    effects += answered.length;
    if (!digestOf(answered).equals(expected))
      return { ...head, events: number + 1, effects, differsAt: { event: number + 1, type: event.type } };
    if (number % 1_000 === 0) onProgress(number, lines.length);
  }
  return { ...head, events: lines.length, effects };
}

function digestOf(effects: readonly VoterEffect[]): Buffer {
  return createHash('sha256').update(encodeCbor(effects)).digest();
}

async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new MeshError('MESH_STORAGE_FAILED', `cannot read: ${(error as Error).message}`, {
      where: file,
      cause: error,
    });
  }
}

function invalid(file: string, what: string): MeshError {
  return new MeshError('MESH_JOURNAL_INVALID', what, { where: file, mend: '`foremesh node --journal` writes one' });
}
