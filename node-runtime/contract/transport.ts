/** How a message travels. MQTT 3.1.1 QoS 0 or 1; 2 is not portable and not used. */
export interface PublishOptions {
  readonly qos: 0 | 1;
  readonly retain?: boolean;
}

export type MessageListener = (topic: string, payload: Uint8Array, retained: boolean) => void;

/**
 * One connection to a broker, however it is made (TCP, WebSocket, inside the broker's own process, a simulator).
 * A connection that is lost is not repaired here: `closed` resolves and the owner makes a new one, so that nothing
 * published on the old one is flushed late into the new one.
 */
export interface Transport {
  /** Resolves when the broker took the message (QoS 1: acknowledged). Rejects when the connection is gone. */
  publish(topic: string, payload: Uint8Array, options: PublishOptions): Promise<void>;
  /** Resolves when the broker granted the subscriptions. */
  subscribe(filters: readonly string[], qos: 0 | 1): Promise<void>;
  unsubscribe(filters: readonly string[]): Promise<void>;
  /** Called for every message of every subscription, in the order of arrival. Returns what removes the listener. */
  listen(listener: MessageListener): () => void;
  /** Resolves once the connection has ended, with the reason when it was not us. */
  readonly closed: Promise<Error | undefined>;
  close(): Promise<void>;
}
