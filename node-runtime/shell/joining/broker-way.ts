import { type Address, addressesOf, addressText, type Invitation, limits, MeshError } from '../../contract/index.ts';
import type { PinnedTarget } from '../pinned-tls.ts';
import { askBroker, type Question } from './ask.ts';

export interface WayOptions {
  readonly invitation: Invitation;
  /** For all questions together. */
  readonly timeoutMs: number;
  readonly onReached?: () => void;
  readonly onTrusted?: () => void;
  /** The addresses of the invitation did not answer; mDNS says that the mesh is here, and that is looked at next. */
  readonly onFound?: (places: readonly Address[]) => void;
}

/** Of the time for all, what the addresses of an invitation have until one takes a connection: the rest is for mDNS. */
const reachShare = 0.48;
/** What is left for whom mDNS finds, at least; and for the last question, should the time be over. */
const leastMs = 1_000;
const unreached: readonly string[] = ['MESH_NAME_UNKNOWN', 'MESH_UNREACHABLE'];

/**
 * The way to the broker of an invitation: by the addresses that stand in it, or, when none of them takes a connection, by
 * those that mDNS finds in the local network. Those too are believed only because the CA is the invitation's.
 */
export class BrokerWay {
  readonly #options: WayOptions;
  readonly #endMs: number;
  #found: Address | undefined;

  constructor(options: WayOptions) {
    this.#options = options;
    this.#endMs = performance.now() + options.timeoutMs;
  }

  /** To be kept: first the one that was found, since it has answered. */
  get addresses(): Address[] {
    const known = addressesOf(this.#options.invitation);
    if (this.#found === undefined) return [...known];
    const found = addressText(this.#found);
    return [this.#found, ...known.filter((each) => addressText(each) !== found)].slice(
      0,
      limits.addressesPerConnection,
    );
  }

  /** Throws what `askBroker` throws. */
  async ask<T>(question: Pick<Question<T>, 'path' | 'body' | 'schema'>, own?: PinnedTarget['own']): Promise<T> {
    const { invitation, timeoutMs } = this.#options;
    if (this.#found !== undefined) return this.#askAt([this.#found], question, own, {});
    let isReached = false;
    const onReached = () => {
      isReached = true;
    };
    try {
      return await this.#askAt(addressesOf(invitation), question, own, { reachMs: timeoutMs * reachShare, onReached });
    } catch (error) {
      if (isReached || !(error instanceof MeshError) || !unreached.includes(error.code)) throw error;
      return this.#askFound(question, own, error);
    }
  }

  async #askFound<T>(
    question: Pick<Question<T>, 'path' | 'body' | 'schema'>,
    own: PinnedTarget['own'],
    why: MeshError,
  ): Promise<T> {
    // Loaded here: most join without.
    const { searchLocally } = await import('./local-search.ts');
    const { places, problem } = await searchLocally(this.#options.invitation, this.#leftMs - leastMs);
    if (places.length === 0) {
      throw also(
        why,
        problem === undefined
          ? 'nor does mDNS find this mesh in the local network'
          : `and mDNS does not find this mesh in the local network (${problem})`,
      );
    }
    this.#options.onFound?.(places);
    let isTrusted = false;
    const onTrusted = (address: Address) => {
      isTrusted = true;
      this.#found = address;
    };
    try {
      return await this.#askAt(places, question, own, { onTrusted });
    } catch (error) {
      if (isTrusted || !(error instanceof MeshError)) throw error;
      const at = error.where ?? places.map(addressText).join(', ');
      throw also(why, `and what mDNS names in its place is not it: ${at}: ${error.message}`);
    }
  }

  #askAt<T>(
    addresses: readonly Address[],
    question: Pick<Question<T>, 'path' | 'body' | 'schema'>,
    own: PinnedTarget['own'],
    told: Pick<Question<T>, 'reachMs' | 'onReached' | 'onTrusted'>,
  ): Promise<T> {
    const { invitation, onReached, onTrusted } = this.#options;
    return askBroker(
      { addresses, ca: invitation.ca, ...(own === undefined ? {} : { own }) },
      {
        ...question,
        timeoutMs: this.#leftMs,
        ...(told.reachMs === undefined ? {} : { reachMs: told.reachMs }),
        onReached: () => {
          told.onReached?.();
          onReached?.();
        },
        onTrusted: (address) => {
          told.onTrusted?.(address);
          onTrusted?.();
        },
      },
    );
  }

  get #leftMs(): number {
    return Math.max(leastMs, this.#endMs - performance.now());
  }
}

function also({ code, message, where, mend, cause }: MeshError, more: string): MeshError {
  return new MeshError(code, `${message}; ${more}`, {
    ...(where === undefined ? {} : { where }),
    ...(mend === undefined ? {} : { mend }),
    cause,
  });
}
