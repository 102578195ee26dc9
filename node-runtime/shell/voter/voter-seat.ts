import type { Logger } from 'pino';
import { asMeshError, MeshError, type Transport } from '../../contract/index.ts';
import type { Home } from '../home.ts';
import type { PolicyName } from '../node-options.ts';
import type { VoterLink, VoterLinkOptions } from './voter-link.ts';
import { checkVoterMark, markVoter } from './voter-mark.ts';

export interface VoterSeatOptions {
  readonly home: Home;
  readonly isFounder: boolean;
  readonly mayLead: boolean;
  readonly policy: PolicyName;
  /** The connection, or undefined while there is none. */
  readonly connection: () => Transport | undefined;
  /** What a node hears as long as it does not vote: a voter hears it in another way. */
  readonly followerFilters: readonly string[];
  readonly voter: () => Omit<VoterLinkOptions, 'policy'>;
  readonly log: Logger;
  readonly onFatal: (error: MeshError) => void;
}

/** The place of a node among the voters: empty, until a leader sends it its log. */
export class VoterSeat {
  readonly #options: VoterSeatOptions;
  #voter: VoterLink | undefined;
  #taking: Promise<void> | undefined;
  #closed = false;

  constructor(options: VoterSeatOptions) {
    this.#options = options;
  }

  get voter(): VoterLink | undefined {
    return this.#voter;
  }

  /** A node that voted before votes again. Throws `MESH_LOG_LOST`, and what `VoterLink.open` throws. */
  async resume(): Promise<void> {
    const { home, isFounder, mayLead, log } = this.#options;
    if (!mayLead) {
      if (isFounder) log.warn('the founder shall not lead: as long as it is the only voter, nobody leads this mesh');
    } else if (await checkVoterMark(home, isFounder)) await this.#open();
  }

  /** A leader sends us its log: we are to vote. What it sends until ours is open is lost, and sent again. */
  take(): void {
    if (!this.#options.mayLead || this.#closed) return;
    this.#taking ??= this.#take().finally(() => {
      this.#taking = undefined;
    });
  }

  /** The mark comes first: a log that is lost later must not be taken for one that was never there. */
  async #take(): Promise<void> {
    const { home, connection, followerFilters, onFatal } = this.#options;
    try {
      await markVoter(home);
      const voter = await this.#open();
      const transport = connection();
      if (transport === undefined) return; // subscribes when it connects
      await transport.subscribe(voter.filters(), 1);
      await transport.unsubscribe([...followerFilters]);
      if (connection() === transport) voter.connected();
    } catch (error) {
      // Of the connection alone: it is made again. Of the disk: the node cannot do what it is asked to.
      if (!(error instanceof MeshError) || error.code !== 'MESH_UNREACHABLE')
        onFatal(asMeshError(error, 'MESH_STORAGE_FAILED'));
    }
  }

  /** Only a voter loads what it takes to lead: raft, ledger, planner, placement, forecasters. */
  async #open(): Promise<VoterLink> {
    const [{ VoterLink }, { planningPolicyOf }] = await Promise.all([import('./voter-link.ts'), import('./policy.ts')]);
    this.#voter = await VoterLink.open({
      ...this.#options.voter(),
      policy: planningPolicyOf(this.#options.policy),
    });
    return this.#voter;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#taking;
    await this.#voter?.close();
  }
}
