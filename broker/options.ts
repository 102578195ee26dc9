import { isIdentifier, MeshError, tlsPort } from '@foremesh/node-runtime/contract';
import * as z from 'zod';
import { type BrokerLimits, brokerLimits } from './limits.ts';
import type { Log } from './log.ts';

const port = z.number().int().min(0).max(65_535);
const listener = z.strictObject({ host: z.string().min(1).optional(), port: port.optional() });
const meshName = z.string().refine(isIdentifier, { error: 'must be 1 to 64 of A-Z a-z 0-9 _ -' });

const schema = z.strictObject({
  /** Holds accounts.json, mesh.json, broker/store and broker/blobs. */
  home: z.string().min(1),
  /** TCP: 127.0.0.1:1883 unless said. Another host than loopback must be said. Port 0 takes a free one. */
  listen: listener.optional(),
  /** WebSocket on path /mqtt: 127.0.0.1:8083 unless said; false turns it off. */
  webSocket: z.union([listener, z.literal(false)]).optional(),
  /** MQTT over TLS, WebSocket and HTTPS on one port, certified by the CA of the home: off unless said. Port 8883 unless said. */
  tls: listener.optional(),
  /** Say by mDNS where the TLS port is, to who knows the mesh and its CA: done beyond loopback unless false. */
  announce: z.boolean().optional(),
  /** The meshes whose blobs this box holds; `mesh.json` unless said. */
  meshes: z.array(meshName).optional(),
  /** Most bytes of blobs held; more is refused. No limit but the disk's unless said. */
  blobLimitBytes: z.number().int().min(0).optional(),
  /** fsync every batch of writes: survives a power cut, wears SD cards and costs milliseconds per message. */
  syncWrites: z.boolean().optional(),
  /** Rebuild a damaged store before opening it. */
  repairStore: z.boolean().optional(),
  /** A killed broker's leftover wills are published after four of these; 15000 unless said. */
  heartbeatMs: z.number().int().min(10).optional(),
  /** Smaller or larger limits. */
  limits: z.partialRecord(z.enum(Object.keys(brokerLimits) as [keyof BrokerLimits]), z.number().min(0)).optional(),
});

export type BrokerOptions = z.input<typeof schema> & {
  /** Where lines go; silent unless given. A pino logger fits. */
  readonly log?: Log;
};

export interface Listen {
  readonly host: string;
  readonly port: number;
}

export interface BrokerSettings {
  readonly home: string;
  readonly tcp: Listen;
  readonly webSocket: Listen | undefined;
  readonly tls: Listen | undefined;
  readonly announce: boolean;
  readonly meshes: readonly string[] | undefined;
  readonly blobLimitBytes: number | undefined;
  readonly syncWrites: boolean;
  readonly repairStore: boolean;
  readonly heartbeatMs: number;
  readonly limits: BrokerLimits;
}

/** Checks options once and freezes them. Throws `MESH_CONFIG_INVALID` naming the option. */
export function checkOptions(options: BrokerOptions): BrokerSettings {
  const { log: _log, ...plain } = options;
  const parsed = schema.safeParse(plain);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new MeshError('MESH_CONFIG_INVALID', issue?.message ?? 'wrong options', {
      where: `broker option ${issue?.path.join('.') || '(unknown)'}`,
    });
  }
  const {
    home,
    listen,
    webSocket,
    tls,
    announce,
    meshes,
    blobLimitBytes,
    syncWrites,
    repairStore,
    heartbeatMs,
    limits,
  } = parsed.data;
  const host = listen?.host ?? '127.0.0.1';
  return Object.freeze({
    home,
    tcp: Object.freeze({ host, port: listen?.port ?? 1883 }),
    webSocket:
      webSocket === false ? undefined : Object.freeze({ host: webSocket?.host ?? host, port: webSocket?.port ?? 8083 }),
    tls: tls === undefined ? undefined : Object.freeze({ host: tls.host ?? host, port: tls.port ?? tlsPort }),
    announce: announce ?? true,
    meshes: meshes === undefined ? undefined : Object.freeze([...meshes]),
    blobLimitBytes,
    syncWrites: syncWrites ?? false,
    repairStore: repairStore ?? false,
    heartbeatMs: heartbeatMs ?? 15_000,
    limits: Object.freeze({ ...brokerLimits, ...limits }) as BrokerLimits,
  });
}
