import { type Address, asksFor, isKnown, type LocalMesh, localRecords } from '@foremesh/node-runtime/contract';
import {
  type LinkAddress,
  type LinkPacket,
  type LocalLink,
  localPort,
  openLocalLink,
  ownLinks,
} from '@foremesh/node-runtime/data';
import type { BrokerLimits } from '../limits.ts';
import type { Incidents } from '../log.ts';
import { isAny } from './addresses.ts';

export interface AnnouncerOptions {
  readonly mesh: LocalMesh;
  /** Where the broker listens: an address, or all. */
  readonly host: string;
  readonly port: number;
  readonly limits: BrokerLimits;
  readonly incidents: Incidents;
}

/**
 * Says by mDNS where the broker of a mesh is, on every IPv4 network of this machine where it listens, and follows its
 * addresses as they come and go. It is a convenience: what goes wrong is reported, and keeps nothing else from running.
 */
export class Announcer {
  readonly #options: AnnouncerOptions;
  readonly #links = new Map<string, AnnouncedLink>();
  readonly #timer: NodeJS.Timeout;
  #looking: Promise<void> | undefined;
  #isClosed = false;
  /** What was last reported of a network: the same trouble at every look is told once. */
  readonly #problems = new Map<string, string>();

  constructor(options: AnnouncerOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#look(), options.limits.announceLookMs);
    this.#timer.unref();
    this.#look();
  }

  /** Says goodbye, so that nobody is sent here any more. Bounded by `announceGoodbyeMs`. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#looking;
    await Promise.all([...this.#links.values()].map((each) => each.leave()));
    this.#links.clear();
  }

  #look(): void {
    if (this.#isClosed) return;
    this.#looking ??= this.#follow()
      .catch((error: Error) => this.#report('all', error))
      .finally(() => {
        this.#looking = undefined;
      });
  }

  async #follow(): Promise<void> {
    const { host } = this.#options;
    const wanted = new Map<string, LinkAddress>();
    for (const each of ownLinks()) {
      if (isAny(host) || each.address === host) wanted.set(`${each.address}/${each.netmask}`, each);
    }
    for (const [name, link] of this.#links) {
      if (wanted.has(name)) link.refresh();
      else {
        this.#links.delete(name);
        await link.close();
      }
    }
    for (const [name, at] of wanted) if (!this.#links.has(name)) await this.#open(name, at);
    for (const name of this.#problems.keys()) if (!wanted.has(name)) this.#problems.delete(name);
  }

  async #open(name: string, at: LinkAddress): Promise<void> {
    const onProblem = (error: Error) => this.#report(name, error);
    try {
      const link = new AnnouncedLink(this.#options, onProblem);
      await link.open(at);
      this.#links.set(name, link);
      this.#options.incidents.log.info({ network: name }, 'mDNS says here where the broker is');
      this.#problems.delete(name);
    } catch (error) {
      onProblem(error as Error);
    }
  }

  #report(name: string, { message }: Error): void {
    if (this.#problems.get(name) === message) return;
    this.#problems.set(name, message);
    this.#options.incidents.report('mdns', { network: name, reason: message }, 'mDNS does not say where the broker is');
  }
}

class AnnouncedLink {
  readonly #options: AnnouncerOptions;
  readonly #onProblem: (error: Error) => void;
  #link: LocalLink | undefined;
  #place!: Address;
  #lastMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: AnnouncerOptions, onProblem: (error: Error) => void) {
    this.#options = options;
    this.#onProblem = onProblem;
  }

  async open(at: LinkAddress): Promise<void> {
    // On each link the address of that link, and no other: it is the one that is reached from there.
    this.#place = { host: at.address, port: this.#options.port };
    this.#link = await openLocalLink(at, {
      onPacket: (packet) => this.#hear(packet),
      onProblem: this.#onProblem,
    });
    // Twice, a second apart (RFC 6762, section 8.3).
    this.#answerAll();
    this.#answerAll();
  }

  refresh(): void {
    this.#link?.refresh();
  }

  async leave(): Promise<void> {
    clearTimeout(this.#timer);
    const said = this.#link?.answer(localRecords(this.#options.mesh, this.#place, true));
    let timer: NodeJS.Timeout | undefined;
    const tooLong = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#options.limits.announceGoodbyeMs);
    });
    await Promise.race([said, tooLong]);
    clearTimeout(timer);
    await this.close();
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#link?.close();
    this.#link = undefined;
  }

  #hear({ isQuery, id, questions, records: known, from }: LinkPacket): void {
    if (!isQuery) return;
    const records = localRecords(this.#options.mesh, this.#place);
    const asked = questions.filter((each) => asksFor(each, records));
    if (asked.length === 0) return;
    if (from.port !== localPort) {
      void this.#link?.answer(records, { id, questions: asked.map(({ name, type }) => ({ name, type })), ...from });
      return;
    }
    const wanted = records.filter((each) => asked.some((question) => asksFor(question, [each])));
    if (!wanted.every((each) => isKnown(each, known))) this.#answerAll();
  }

  /** Now, or together with what is asked until the next time that it may. */
  #answerAll(): void {
    if (this.#timer !== undefined) return;
    const waitMs = this.#lastMs + this.#options.limits.announceIntervalMs - performance.now();
    if (waitMs > 0) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#answerAll();
      }, waitMs);
      this.#timer.unref();
      return;
    }
    this.#lastMs = performance.now();
    void this.#link?.answer(localRecords(this.#options.mesh, this.#place));
  }
}
