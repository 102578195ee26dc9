import mqtt from 'mqtt';
import { writeToStream } from 'mqtt-packet';
import { addressesOf, brokerUrl, type MeshPlace } from '../contract/index.ts';
import {
  connectTimeoutMs,
  handshake,
  type MqttTransport,
  type SessionOptions,
  sessionOptions,
} from './mqtt-session.ts';
import { connectPinned, type PinnedTarget } from './pinned-tls.ts';

// Its cache of all 65536 packet identifiers takes 6 MB and 40 ms, to save the making of two bytes.
writeToStream.cacheNumbers = false;

export interface MqttConnectOptions extends SessionOptions {
  /** `mqtt://host:port`, `mqtts:`, `ws:` or `wss:`. */
  readonly url: string;
  /** How the way is secured: then `url` is only shown. */
  readonly pinned?: PinnedTarget;
  /** Told the CA's certificate (PEM), once the broker has shown it. */
  readonly onAuthority?: (authority: string) => void;
}

/** What to connect to, of a connection string or of what joining has left. */
export function brokerOf(place: MeshPlace, own?: PinnedTarget['own']): Pick<MqttConnectOptions, 'url' | 'pinned'> {
  const { ca } = place;
  const pinned = ca === undefined ? {} : { pinned: { addresses: addressesOf(place), ca, ...(own && { own }) } };
  return { url: brokerUrl(place), ...pinned };
}

/**
 * Opens one connection: a fresh client object, a clean session, no reconnecting and no queue for what is published
 * while away (mqtt.js would flush it late, into another time). Rejects with `MESH_UNREACHABLE`, `MESH_NOT_AUTHORIZED`,
 * or what `connectPinned` throws.
 */
export async function connectMqtt(options: MqttConnectOptions): Promise<MqttTransport> {
  const timeoutMs = options.connectTimeoutMs ?? connectTimeoutMs;
  const secured = options.pinned === undefined ? undefined : await connectPinned(options.pinned, { timeoutMs });
  if (secured !== undefined) options.onAuthority?.(secured.authority);
  const settings = sessionOptions(options);
  const client =
    secured === undefined ? mqtt.connect(options.url, settings) : new mqtt.MqttClient(() => secured.socket, settings);
  return handshake(client, options.url);
}

export type { MqttTransport };
