import { MeshError, type Transport } from '../contract/index.ts';
import { connectMqtt, type MqttConnectOptions, type MqttTransport } from './mqtt-transport.ts';

export interface LinkOptions {
  /** Made anew for every connection: a will can carry what changes. */
  readonly connectOptions: () => MqttConnectOptions;
  /** Subscribe and announce here; the link counts as up when it resolves. */
  readonly onUp: (transport: Transport) => Promise<void>;
  readonly onDown: (reason: Error) => void;
  /** A failed try: the first of a row, and then every tenth. */
  readonly onTrouble: (error: MeshError) => void;
  readonly backoffMs?: { readonly least: number; readonly most: number };
}

/**
 * Keeps one connection alive: a fresh client per connection, exponential backoff with full jitter between tries. Refused
 * credentials are tried again too, slowly: the owner may be mending them.
 */
export class Link {
  readonly #options: LinkOptions;
  #transport: MqttTransport | undefined;
  /** Of connections that have ended. */
  #trafficBytes = 0;
  #stopping = false;
  #timer: NodeJS.Timeout | undefined;
  #wake: (() => void) | undefined;
  readonly #running: Promise<void>;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** The connection, or undefined while there is none. */
  get transport(): Transport | undefined {
    return this.#transport;
  }

  /** What was sent and received over all connections. */
  get trafficBytes(): number {
    return this.#trafficBytes + (this.#transport?.trafficBytes ?? 0);
  }

  async #run(): Promise<void> {
    const { least, most } = this.#options.backoffMs ?? { least: 200, most: 5_000 };
    let failures = 0;
    while (!this.#stopping) {
      try {
        const transport = await connectMqtt(this.#options.connectOptions());
        if (this.#stopping) {
          await transport.close();
          return;
        }
        this.#transport = transport;
        const closed = transport.closed.then((reason) => reason ?? new Error('closed by us'));
        await Promise.race([
          this.#options.onUp(transport),
          closed.then((reason) => {
            throw reason;
          }),
        ]);
        failures = 0;
        const reason = await closed;
        this.#forget();
        if (!this.#stopping) this.#options.onDown(reason);
      } catch (error) {
        await this.#transport?.close().catch(() => undefined); // already gone: nothing to close
        this.#forget();
        failures += 1;
        if (failures % 10 === 1) {
          this.#options.onTrouble(
            error instanceof MeshError ? error : new MeshError('MESH_UNREACHABLE', (error as Error).message),
          );
        }
      }
      if (!this.#stopping) await this.#pause(Math.random() * Math.min(most, least * 2 ** failures) + least / 2);
    }
  }

  #forget(): void {
    this.#trafficBytes = this.trafficBytes;
    this.#transport = undefined;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#timer = setTimeout(resolve, ms);
    });
  }

  /** Ends the connection in order: the broker publishes no will. */
  async close(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    this.#wake?.();
    await this.#transport?.close();
    await this.#running;
  }
}
