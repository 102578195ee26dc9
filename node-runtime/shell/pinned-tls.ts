import { createHash } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { type Address, addressText, MeshError } from '../contract/index.ts';

/** What a peer is known by. */
export interface PinnedTarget {
  readonly addresses: readonly Address[];
  /** SHA-256 of the CA's certificate, in base64url. */
  readonly ca: string;
  /** What we show of ourselves, PEM. */
  readonly own?: { readonly certificate: string; readonly key: string };
}

export interface PinnedOptions {
  readonly timeoutMs: number;
  /** Gives up before, when until then nobody at all has taken a connection. */
  readonly reachMs?: number;
  /** Told of the first address where somebody takes the connection. */
  readonly onReached?: (address: Address) => void;
}

export interface PinnedConnection {
  readonly socket: TLSSocket;
  readonly address: Address;
  /** The CA that was asked for, as the peer has shown it: PEM. */
  readonly authority: string;
}

const serverUsage = '1.3.6.1.5.5.7.3.1';

/**
 * Opens TLS to the first of the addresses where somebody answers whom the CA of this fingerprint has certified as the
 * broker. Nothing has been sent when this resolves. Host names are not compared: the CA certifies one broker, however it is
 * reached. Throws, for the address that came furthest, `MESH_NAME_UNKNOWN`, `MESH_UNREACHABLE`, `MESH_TLS_FAILED`,
 * `MESH_CA_MISMATCH` or `MESH_CERTIFICATE_ENDED`, within `timeoutMs`.
 */
export async function connectPinned(target: PinnedTarget, options: PinnedOptions): Promise<PinnedConnection> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), options.timeoutMs);
  const reachTimer = setTimeout(() => abort.abort(), Math.min(options.timeoutMs, options.reachMs ?? options.timeoutMs));
  let isReached = false;
  const onReached = (address: Address) => {
    clearTimeout(reachTimer);
    if (!isReached) options.onReached?.(address);
    isReached = true;
  };
  const tries = target.addresses.map((address) => tryAddress(address, target, onReached, abort.signal));
  try {
    const first = await Promise.any(tries);
    for (const each of tries) {
      each.then(
        ({ socket }) => socket !== first.socket && socket.destroy(),
        () => undefined, // it has lost the race
      );
    }
    return first;
  } catch (error) {
    throw furthest((error as AggregateError).errors as MeshError[]);
  } finally {
    clearTimeout(timer);
    clearTimeout(reachTimer);
    abort.abort();
  }
}

const order = [
  'MESH_NAME_UNKNOWN',
  'MESH_UNREACHABLE',
  'MESH_TLS_FAILED',
  'MESH_CERTIFICATE_ENDED',
  'MESH_CA_MISMATCH',
];

function furthest(errors: readonly MeshError[]): MeshError {
  return errors.reduce((best, each) => (order.indexOf(each.code) > order.indexOf(best.code) ? each : best));
}

async function tryAddress(
  address: Address,
  { ca, own }: PinnedTarget,
  onReached: (address: Address) => void,
  signal: AbortSignal,
): Promise<PinnedConnection> {
  const where = addressText(address);
  const host = await resolve(address.host, where, signal);
  const tcp = await open(host, address.port, where, signal);
  onReached(address);
  const socket = await secure(tcp, address.host, where, own, signal);
  try {
    return { socket, address, authority: pinnedAuthority(socket, ca, where) };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function resolve(host: string, where: string, signal: AbortSignal): Promise<string> {
  if (isIP(host) !== 0) return host;
  try {
    const { address } = await orAborted(lookup(host), signal);
    return address;
  } catch (error) {
    throw new MeshError('MESH_NAME_UNKNOWN', `"${host}" does not resolve: ${(error as Error).message}`, {
      where,
      mend: 'use an address in its place, or mend the name service of this machine (/etc/resolv.conf)',
      cause: error,
    });
  }
}

async function open(host: string, port: number, where: string, signal: AbortSignal): Promise<Socket> {
  const socket = connectTcp({ host, port, noDelay: true });
  try {
    await orAborted(opened(socket, 'connect'), signal);
    return socket;
  } catch (error) {
    socket.destroy();
    throw new MeshError('MESH_UNREACHABLE', `cannot reach the broker: ${(error as Error).message}`, {
      where,
      mend: 'does the broker run there, is this machine in its network, and does a firewall let the port through?',
      cause: error,
    });
  }
}

async function secure(
  tcp: Socket,
  host: string,
  where: string,
  own: PinnedTarget['own'],
  signal: AbortSignal,
): Promise<TLSSocket> {
  const socket = connectTls({
    socket: tcp,
    // Whether the peer is who it should be is looked at below, before a byte is sent: the CA is known by its fingerprint alone.
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(own === undefined ? {} : { cert: own.certificate, key: own.key }),
  });
  try {
    await orAborted(opened(socket, 'secureConnect'), signal);
    return socket;
  } catch (error) {
    socket.destroy();
    tcp.destroy();
    throw new MeshError('MESH_TLS_FAILED', `something answers, and not with TLS: ${(error as Error).message}`, {
      where,
      mend: 'is it the TLS port of a Foremesh broker (8883 unless said)?',
      cause: error,
    });
  }
}

function pinnedAuthority(socket: TLSSocket, ca: string, where: string): string {
  const shown = socket.getPeerX509Certificate();
  const authority = shown?.issuerCertificate;
  if (
    shown === undefined ||
    authority === undefined ||
    createHash('sha256').update(authority.raw).digest('base64url') !== ca ||
    !authority.ca ||
    !shown.verify(authority.publicKey) ||
    shown.keyUsage?.includes(serverUsage) !== true
  ) {
    throw new MeshError('MESH_CA_MISMATCH', "who answers is not certified by this mesh's CA", {
      where,
      mend: 'is the string of this mesh, and the address still its broker? If both: somebody is in between, say nothing to it',
    });
  }
  return authority.toString();
}

/** Rejects when the socket fails, or is closed, before. */
function opened(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    const close = () => reject(new Error('the connection was closed'));
    socket.once('error', reject).once('close', close);
    socket.once(event, () => {
      socket.removeListener('error', reject).removeListener('close', close);
      resolve();
    });
  });
}

function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(new Error('no answer in time'));
    if (signal.aborted) aborted();
    signal.addEventListener('abort', aborted, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted));
  });
}
