import {
  decodeCbor,
  encodeCbor,
  type InboxEnvelope,
  type LeaderHint,
  type VotersLink,
} from '@foremesh/node-runtime/contract';
import {
  createTrust,
  extendChain,
  provenKeyOf,
  proveTerm,
  type Trust,
  type TrustRecord,
} from '@foremesh/node-runtime/core';
import type { VirtualDisk } from '../engine/disk.ts';
import { meshId, verify } from '../scenario/keys.ts';

/** Words of a leader whose proof has not come yet: so many are kept for it. */
const unprovenMost = 16;

/** Whom a node obeys, as `shell/trust-keeper.ts`, without seals: nobody forges here. */
export class VirtualTrust {
  readonly #disk: VirtualDisk;
  readonly #trust: Trust;
  #unproven: InboxEnvelope[] = [];

  constructor(disk: VirtualDisk) {
    this.#disk = disk;
    const kept = disk.read('trust');
    this.#trust = createTrust(meshId, verify, kept === undefined ? undefined : (decodeCbor(kept) as TrustRecord));
  }

  get term(): number {
    return this.#trust.record.term;
  }

  get termOnDisk(): number {
    const kept = this.#disk.read('trust');
    return kept === undefined ? 0 : (decodeCbor(kept) as TrustRecord).term;
  }

  keyOf(node: string): string | undefined {
    return provenKeyOf(this.#trust, node);
  }

  get links(): readonly VotersLink[] {
    return this.#trust.record.links;
  }

  /** Takes what it can check of how the voters of today came to be. */
  learn(chain: readonly VotersLink[]): void {
    const before = this.#trust.record;
    if (!extendChain(this.#trust, chain).changed) return;
    try {
      this.#disk.replaceNow('trust', encodeCbor(this.#trust.record));
    } catch {
      this.#trust.record = before; // the disk is full: what is not on it is not believed
    }
  }

  /** Why a leader is not believed; undefined when it is. Throws when the disk is full: then nothing of it may be done. */
  doubts({ node, publicKey, term, proof, chain }: LeaderHint): string | undefined {
    if (proof.term !== term) return `it shows the votes of term ${proof.term}`;
    const verdict = proveTerm(this.#trust, { proof, chain, leader: { node, publicKey } });
    if (verdict.changed) this.#disk.replaceNow('trust', encodeCbor(this.#trust.record));
    return verdict.accepted ? undefined : verdict.reason;
  }

  /** Whether it is what the leader of our term says. What comes from a later one waits for its proof. */
  obeys(envelope: InboxEnvelope): boolean {
    if (envelope.term > this.term) {
      this.#unproven.push(envelope);
      if (this.#unproven.length > unprovenMost) this.#unproven.shift();
    }
    return envelope.term === this.term;
  }

  /** What has waited for the proof of this term, in the order in which it came. */
  proven(): readonly InboxEnvelope[] {
    const waited = this.#unproven.filter(({ term }) => term === this.term);
    this.#unproven = this.#unproven.filter(({ term }) => term > this.term);
    return waited;
  }
}
