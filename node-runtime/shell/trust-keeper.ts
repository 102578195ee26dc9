import {
  bodyOf,
  decode,
  type InboxEnvelope,
  inboxEnvelope,
  type LeaderHint,
  leaderHint,
  MeshError,
  type VotersLink,
} from '../contract/index.ts';
import { createTrust, extendChain, provenKeyOf, proveTerm, type Trust, type TrustRecord } from '../core/index.ts';
import { openOf } from './sealed.ts';
import { isSignedBy } from './signing.ts';
import { readTrust, writeTrust } from './trust-file.ts';

/** Words of a leader whose proof has not come yet: so many are kept for it. */
const unprovenMost = 16;

/** Whom this node obeys: a term is raised on proof alone, and is on disk before anything is done in it. */
export class TrustKeeper {
  readonly #file: string;
  readonly #trust: Trust;
  #unproven: { readonly payload: Uint8Array; readonly topic: string; readonly term: number }[] = [];

  /** Throws what `readTrust` throws. */
  constructor(file: string, meshId: string) {
    this.#file = file;
    this.#trust = createTrust(meshId, isSignedBy, readTrust(file, meshId));
  }

  get meshId(): string {
    return this.#trust.meshId;
  }
  get term(): number {
    return this.#trust.record.term;
  }

  keyOf(node: string): string | undefined {
    return provenKeyOf(this.#trust, node);
  }

  get links(): readonly VotersLink[] {
    return this.#trust.record.links;
  }

  /** Takes what it can check of how the voters of today came to be. Throws `MESH_STORAGE_FAILED`. */
  learn(chain: readonly VotersLink[]): void {
    const before = this.#trust.record;
    if (extendChain(this.#trust, chain).changed) this.#write(before);
  }

  /**
   * A hint, when its leader has shown that it leads; undefined when it is of the past. Throws `MESH_SIGNATURE_INVALID` or
   * `MESH_LEADER_UNPROVEN`, and `MESH_STORAGE_FAILED` when the term cannot be written: then nothing of it may be done.
   */
  openHint(payload: Uint8Array, topic: string): LeaderHint | undefined {
    const hint = decode(leaderHint, bodyOf(payload));
    if (hint.term < this.term) return undefined;
    openOf(hint.node, hint.publicKey, payload, topic, this.meshId);
    this.prove(hint);
    return hint;
  }

  /** The same for what we say ourselves. */
  prove({ node, publicKey, term, proof, chain }: LeaderHint): void {
    const before = this.#trust.record;
    const verdict =
      proof.term === term
        ? proveTerm(this.#trust, { proof, chain, leader: { node, publicKey } })
        : { accepted: false as const, changed: false, reason: `it shows the votes of term ${proof.term}` };
    if (verdict.changed) this.#write(before);
    if (verdict.accepted) return;
    throw new MeshError('MESH_LEADER_UNPROVEN', `${node} says that it leads in term ${term}: ${verdict.reason}`, {
      mend: 'if this node was away while the voters changed often, let it join anew: remove node/trust.json in its home',
    });
  }

  #write(before: TrustRecord): void {
    try {
      writeTrust(this.#file, this.meshId, this.#trust.record);
    } catch (error) {
      this.#trust.record = before; // what is not on disk is not believed
      throw error;
    }
  }

  /**
   * What the leader of our term says to us. What comes from a later one waits for its proof, and `proven` gives it then.
   * Throws `MESH_SIGNATURE_INVALID`.
   */
  openInbox(payload: Uint8Array, topic: string): InboxEnvelope | undefined {
    const envelope = decode(inboxEnvelope, bodyOf(payload));
    if (envelope.term < this.term) return undefined;
    if (envelope.term > this.term) {
      this.#unproven.push({ payload: payload.slice(), topic, term: envelope.term });
      if (this.#unproven.length > unprovenMost) this.#unproven.shift();
      return undefined;
    }
    const { leader } = this.#trust.record;
    openOf(leader?.node ?? envelope.from, leader?.publicKey, payload, topic, this.meshId);
    return envelope;
  }

  /** What has waited for the proof of this term, in the order in which it came. */
  proven(): readonly { readonly payload: Uint8Array; readonly topic: string }[] {
    const waited = this.#unproven.filter(({ term }) => term === this.term);
    this.#unproven = this.#unproven.filter(({ term }) => term > this.term);
    return waited;
  }
}
