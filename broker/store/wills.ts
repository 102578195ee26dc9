import type { Database } from './database.ts';

const prefix = 'w:';

export interface Will {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
}

export interface StoredWill extends Will {
  readonly clientId: string;
  /** The broker's boot that the client was connected to. */
  readonly brokerId: string;
}

/** Last wills on disk, so that those of clients which a killed broker never saw again can still be published. */
export class WillStore {
  readonly #database: Database;
  /** Client -> the boot that its will belongs to. */
  readonly #boots = new Map<string, string>();

  constructor(database: Database) {
    this.#database = database;
  }

  async load(): Promise<void> {
    for await (const [key, value] of this.#database.scan(prefix)) {
      this.#boots.set(decodeURIComponent(key.slice(prefix.length)), decode(value).brokerId);
    }
  }

  put(clientId: string, brokerId: string, { topic, payload, qos, retain }: Will): Promise<void> {
    this.#boots.set(clientId, brokerId);
    const record = { brokerId, topic, payload: Buffer.from(payload).toString('base64'), qos, retain };
    return this.#database.write(willKey(clientId), Buffer.from(JSON.stringify(record)));
  }

  delete(clientId: string): void {
    if (this.#boots.delete(clientId)) void this.#database.write(willKey(clientId), undefined);
  }

  async get(clientId: string): Promise<StoredWill | undefined> {
    const value = this.#boots.has(clientId) ? await this.#database.read(willKey(clientId)) : undefined;
    return value === undefined ? undefined : { clientId, ...decode(value) };
  }

  /** Wills of earlier boots. */
  async *orphans(brokerId: string): AsyncGenerator<StoredWill> {
    for (const [clientId, boot] of [...this.#boots]) {
      if (boot === brokerId) continue;
      const will = await this.get(clientId);
      if (will !== undefined && will.brokerId !== brokerId) yield will;
    }
  }
}

function willKey(clientId: string): string {
  return prefix + encodeURIComponent(clientId);
}

function decode(value: Buffer): Will & { brokerId: string } {
  const { payload, ...rest } = JSON.parse(value.toString()) as Omit<StoredWill, 'payload' | 'clientId'> & {
    payload: string;
  };
  return { ...rest, payload: Buffer.from(payload, 'base64') };
}
