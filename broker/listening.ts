import { isLoopback, MeshError, tlsPort } from '@foremesh/node-runtime/contract';
import type { FoundedAddress } from './home.ts';
import type { Listen } from './options.ts';

export interface ListeningWish {
  readonly host?: string;
  readonly port?: number;
  readonly tlsPort?: number;
  readonly insecure: boolean;
}

const plainPort = 1883;

/**
 * Where a broker listens: without TLS on this machine alone, and with TLS where others reach it. Throws
 * `MESH_CONFIG_INVALID` when the mesh was founded for others to reach it without TLS, and `insecure` does not say so again.
 */
export function listeningPlan(
  wish: ListeningWish,
  founded: FoundedAddress,
): { readonly listen: Listen; readonly tls?: Listen } {
  const host = wish.host ?? founded.host;
  const isLocal = isLoopback(host);
  const foundedPort = founded.ca === undefined ? founded.port : plainPort;
  const secured = { host, port: wish.tlsPort ?? (founded.ca === undefined ? tlsPort : founded.port) };
  const wantsTls = wish.tlsPort !== undefined || (founded.ca !== undefined && !isLocal);
  if (isLocal || wish.insecure) {
    return { listen: { host, port: wish.port ?? foundedPort }, ...(wantsTls ? { tls: secured } : {}) };
  }
  if (wish.host === undefined && founded.ca === undefined) {
    throw new MeshError('MESH_CONFIG_INVALID', `this mesh was founded without TLS, to be reached at ${host}`, {
      mend: '--insecure listens there without TLS all the same; to have TLS, found another mesh with `foremesh init --host`',
    });
  }
  return {
    listen: { host: '127.0.0.1', port: wish.port ?? (isLoopback(founded.host) ? foundedPort : plainPort) },
    tls: secured,
  };
}
