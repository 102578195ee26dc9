import type { Logger } from 'pino';
import {
  asMeshError,
  type InboxMessage,
  type OutboxMessage,
  type TrustChange,
  type TrustedKey,
} from '../../contract/index.ts';
import type { Home } from '../home.ts';
import { CodeGate } from './code-gate.ts';
import { changeTrustedAuthors, readTrustedAuthors } from './trusted-authors.ts';

export interface AuthorsOptions {
  readonly home: Home;
  readonly node: string;
  readonly log: Logger;
}

/** Of those that are trusted, and of those that are not any more, or with less. */
type OnChange = (trusts: TrustedKey[], distrusted: readonly string[]) => void;

/** Whose code this node runs on engine `node`, as its owner says on the machine itself or through the mesh. */
export class Authors {
  readonly #options: AuthorsOptions;
  #trusts: readonly TrustedKey[];
  #turn: Promise<unknown> = Promise.resolve();
  #gate!: CodeGate;

  readonly #onChange: OnChange;

  private constructor(options: AuthorsOptions, onChange: OnChange, trusts: readonly TrustedKey[]) {
    this.#options = options;
    this.#onChange = onChange;
    this.#trusts = trusts;
  }

  /** Throws `MESH_CONFIG_INVALID` when what the home has of it is damaged, or `MESH_STORAGE_FAILED`. */
  static async open(options: AuthorsOptions, onChange: OnChange): Promise<Authors> {
    const authors = new Authors(options, onChange, await readTrustedAuthors(options.home));
    const { home, node } = options;
    authors.#gate = await CodeGate.open({ home, node, trusts: () => authors.#trusts });
    return authors;
  }

  get trusts(): TrustedKey[] {
    return [...this.#trusts];
  }
  get gate(): CodeGate {
    return this.#gate;
  }

  /** Resolves when it is on disk and obeyed. */
  change(change: TrustChange): Promise<TrustedKey[]> {
    const turn = this.#turn.then(async () => {
      const before = this.#trusts;
      this.#trusts = await changeTrustedAuthors(this.#options.home, before, change);
      if (this.#trusts !== before) this.#tell(before);
      return this.trusts;
    });
    this.#turn = turn.catch(() => undefined); // whoever asked hears of it
    return turn;
  }

  #tell(before: readonly TrustedKey[]): void {
    const now = this.#trusts;
    const hasLess = ({ key, capabilities }: TrustedKey) =>
      !now.some((each) => each.key === key && capabilities.every((one) => each.capabilities.includes(one)));
    this.#options.log.info({ trusts: now }, 'the owner trusts other authors');
    this.#onChange(
      this.trusts,
      before.filter(hasLess).map(({ key }) => key),
    );
  }

  /** Through the mesh; all else is not for us. */
  async hear(message: InboxMessage, answer: (message: OutboxMessage) => void): Promise<void> {
    if (message.type !== 'trust-request') return;
    const { request, change } = message;
    try {
      answer({ type: 'trusted', request, keys: await this.change(change) });
    } catch (error) {
      const { code, message: text, mend } = asMeshError(error, 'MESH_STORAGE_FAILED');
      const problem = { code, message: text, ...(mend === undefined ? {} : { mend }) };
      answer({ type: 'request-failed', request, problem });
    }
  }
}
