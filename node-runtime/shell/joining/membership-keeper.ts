import type { Logger } from 'pino';
import {
  asMeshError,
  certificateAnswer,
  joiningPaths,
  type MeshError,
  type MeshEvent,
  membershipAnswer,
  warnedDaysBefore,
} from '../../contract/index.ts';
import type { Home, Identity } from '../home.ts';
import type { PinnedTarget } from '../pinned-tls.ts';
import { askBroker } from './ask.ts';
import { membershipOf } from './join.ts';
import { type Membership, ownOf, placeOf, writeMembership } from './membership.ts';

export interface MembershipKeeperOptions {
  readonly home: Home;
  readonly identity: Identity;
  readonly membership: Membership;
  readonly log: Logger;
  readonly tell: (event: Omit<MeshEvent, 'v' | 'source'>) => void;
  /** The mesh wants this node no longer, or its certificate has ended: it cannot go on. */
  readonly onOut: (error: MeshError) => void;
  /** The wall clock, milliseconds since 1970. */
  readonly nowMs?: () => number;
}

const askMs = 15_000;
const checkMostMs = 3_600_000;
/** So often in the life of a certificate it is looked at. */
const checksPerLife = 40;
const outCodes: readonly string[] = ['MESH_NODE_REMOVED', 'MESH_CERTIFICATE_ENDED', 'MESH_NOT_ADMITTED'];

/**
 * Keeps the certificate of a node that has joined: renews it at two thirds of its life, tries again at every look, and warns
 * 30, 7 and 1 days before an end that will not be put off.
 */
export class MembershipKeeper {
  readonly #options: MembershipKeeperOptions;
  #membership: Membership;
  #warnedDays = Number.POSITIVE_INFINITY;
  #asking: Promise<void> | undefined;
  #isClosed = false;
  readonly #timer: NodeJS.Timeout;

  constructor(options: MembershipKeeperOptions) {
    this.#options = options;
    this.#membership = options.membership;
    const { issuedAtMs, endsAtMs } = options.membership;
    this.#timer = setInterval(() => this.look(), Math.min(checkMostMs, (endsAtMs - issuedAtMs) / checksPerLife));
    this.#timer.unref();
  }

  /** What the node shows of itself now. */
  get own(): PinnedTarget['own'] & {} {
    return ownOf(this.#membership, this.#options.identity);
  }
  get membership(): Membership {
    return this.#membership;
  }

  /** The broker has refused the certificate: asks why. */
  inquire(): void {
    this.#ask(async () => {
      await askBroker(this.#target, { path: joiningPaths.membership, schema: membershipAnswer, timeoutMs: askMs });
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#asking;
  }

  #nowMs(): number {
    return (this.#options.nowMs ?? Date.now)();
  }

  get #target(): PinnedTarget {
    const { addresses } = this.#membership;
    return { addresses, ca: placeOf(this.#membership).ca!, own: this.own };
  }

  /** Renews the certificate when it is time to. Called now and then by itself. */
  look(): void {
    const { issuedAtMs, endsAtMs } = this.#membership;
    if (this.#nowMs() >= issuedAtMs + ((endsAtMs - issuedAtMs) * 2) / 3) this.#ask(() => this.#renew());
  }

  #ask(work: () => Promise<void>): void {
    if (this.#isClosed) return;
    this.#asking ??= work()
      .catch((error: unknown) => this.#failed(asMeshError(error, 'MESH_STORAGE_FAILED')))
      .finally(() => {
        this.#asking = undefined;
      });
  }

  async #renew(): Promise<void> {
    const { home, identity, log } = this.#options;
    const place = placeOf(this.#membership);
    const answer = await askBroker(this.#target, {
      path: joiningPaths.renew,
      body: { v: 1, clockMs: this.#nowMs() },
      schema: certificateAnswer,
      timeoutMs: askMs,
    });
    const renewed = membershipOf(answer, identity, { ...place, ca: place.ca! });
    await writeMembership(home, renewed);
    this.#membership = renewed;
    this.#warnedDays = Number.POSITIVE_INFINITY;
    log.info({ ends: new Date(renewed.endsAtMs).toISOString() }, 'the certificate of this node was renewed');
  }

  #failed(error: MeshError): void {
    const { log, tell, onOut } = this.#options;
    if (this.#isClosed) return;
    if (outCodes.includes(error.code)) {
      onOut(error);
      return;
    }
    log.warn(`the broker does not say that the certificate is good: ${error.toLine()}`);
    const { endsAtMs } = this.#membership;
    const days = warnedDaysBefore(endsAtMs - this.#nowMs());
    if (days === undefined || days >= this.#warnedDays) return;
    this.#warnedDays = days;
    const ends = new Date(endsAtMs).toISOString();
    const within = days === 1 ? 'a day' : `${days} days`;
    const text = `the certificate of this node ends within ${within} (${ends}) and is not renewed: ${error.toLine()}`;
    tell({ kind: 'certificate-ends', severity: days === 30 ? 'warning' : 'error', text: text.slice(0, 1_000) });
  }
}
