import type { Logger } from 'pino';
import {
  bodyOf,
  decode,
  encode,
  MeshError,
  type MeshEvent,
  type NodeStatus,
  nodeStatus,
  type Topics,
  type Transport,
} from '../contract/index.ts';
import { type CloneWatch, createCloneWatch, rivalsOf, watchStatus } from '../core/index.ts';
import { openOf } from './sealed.ts';
import type { Signer } from './signing.ts';

export interface PresenceOptions {
  readonly topics: Topics;
  readonly signer: Signer;
  readonly transport: () => Transport | undefined;
  readonly log: Logger;
  readonly tell: (event: Omit<MeshEvent, 'v' | 'source'>) => void;
  /** Another machine has our identity, and is the older one. */
  readonly onCloned: (error: MeshError) => void;
}

/** Statuses of one connection are numbered from a multiple of this; the will is above them all, and below the next connection's. */
const statusesPerConnection = 1_000_000;

/** What a node says of itself: its status, its last will; and what it hears under its own name. */
export class Presence {
  readonly #options: PresenceOptions;
  #status: Omit<NodeStatus, 'seq' | 'online'>;
  readonly #clones: CloneWatch;
  readonly #startedMs = performance.now();
  readonly topic: string;
  #connections = 0;
  #statuses = 0;

  constructor(options: PresenceOptions, status: Omit<NodeStatus, 'seq' | 'online'>) {
    this.#options = options;
    this.#status = status;
    this.#clones = createCloneWatch(status.node, status.bootId);
    this.topic = options.topics.nodeStatus(status.node);
  }

  /** For a new connection: which one it is, and what is said when it breaks. */
  nextConnection() {
    this.#connections += 1;
    this.#statuses = this.#connections * statusesPerConnection;
    const will = { ...this.#status, seq: this.#statuses + statusesPerConnection - 1, online: false };
    const payload = this.#options.signer.seal(encode(will, 'json'), this.topic);
    return { number: this.#connections, will: { topic: this.topic, payload, qos: 1 as const, retain: true } };
  }

  /** Rejects when the connection is gone: the next one announces anew. */
  announce(transport: Transport): Promise<void> {
    return this.#publish(transport, true);
  }

  announceNow(): void {
    const transport = this.#options.transport();
    if (transport !== undefined)
      this.announce(transport).catch((error: unknown) => this.#options.log.debug(String(error)));
  }

  /** What it offers is something else now. */
  offer(
    offered: Pick<NodeStatus, 'share' | 'slots' | 'queue' | 'offeredMemoryBytes' | 'withheld' | 'onlyLabels'>,
  ): void {
    const { withheld: _, onlyLabels: __, ...rest } = this.#status;
    this.#status = { ...rest, ...offered };
    this.announceNow();
  }

  /** Its owner trusts other authors now. */
  trust(trusts: NonNullable<NodeStatus['trusts']>): void {
    this.#status = { ...this.#status, trusts };
    this.announceNow();
  }

  async sayGoodbye(): Promise<void> {
    const transport = this.#options.transport();
    if (transport === undefined) return;
    await this.#publish(transport, false).catch((error: unknown) => this.#options.log.debug(String(error))); // the will says the same
  }

  #publish(transport: Transport, online: boolean): Promise<void> {
    this.#statuses += 1;
    const status: NodeStatus = { ...this.#status, seq: this.#statuses, online, rivals: [...rivalsOf(this.#clones)] };
    const payload = this.#options.signer.seal(encode(status, 'json'), this.topic);
    return transport.publish(this.topic, payload, { qos: 1, retain: true });
  }

  /** Somebody speaks under our own name: an earlier boot of ours, or a machine that has our disk. */
  hear(payload: Uint8Array): void {
    if (payload.length === 0) return;
    const { signer, tell, onCloned } = this.#options;
    const status = decode(nodeStatus, bodyOf(payload));
    // Under another key it is another node that took our name: the mesh does not admit it.
    if (status.bootId === this.#status.bootId || status.publicKey !== signer.publicKey) return;
    openOf(status.node, status.publicKey, payload, this.topic, signer.meshId);
    for (const effect of watchStatus(this.#clones, status, performance.now() - this.#startedMs)) {
      if (effect.type === 'announce') this.announceNow();
      else if (effect.type === 'event') tell(effect.event);
      else {
        const { message, mend } = effect.problem;
        onCloned(new MeshError('MESH_IDENTITY_CLONED', message, mend === undefined ? {} : { mend }));
      }
    }
  }
}
