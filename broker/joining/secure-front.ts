import { isLoopback, MeshError, warnedDaysBefore } from '@foremesh/node-runtime/contract';
import { readAddress, readMesh } from '../home.ts';
import type { BrokerLimits } from '../limits.ts';
import { type Accept, type Failed, listenTls, type SecureListener } from '../listeners.ts';
import type { Incidents } from '../log.ts';
import type { Listen } from '../options.ts';
import { certifiedNames } from './addresses.ts';
import { type Authority, authorityPaths, ensureAuthority } from './authority.ts';
import { noteListening } from './invite.ts';
import { runtimePath } from './runtime-package.ts';
import { serverCertificate } from './server-certificate.ts';
import { type JoiningParts, JoiningService } from './service.ts';

export interface FrontOptions extends Omit<JoiningParts, 'authority' | 'mesh' | 'runtimeFile'> {
  readonly home: string;
  readonly at: Listen;
  /** Whether mDNS may say where the port is. */
  readonly announce: boolean;
  readonly accept: Accept;
  readonly failed: Failed;
  readonly limits: BrokerLimits;
  readonly incidents: Incidents;
}

export interface SecureFront extends SecureListener {
  close(): Promise<void>;
}

/**
 * Opens the TLS port of the broker with a certificate by the CA of its home, and keeps that certificate good: it is made
 * anew at two thirds of its life, and when the machine has other names or addresses. Beyond loopback mDNS says where it is,
 * until `close` has said goodbye. Throws `MESH_CONFIG_INVALID`.
 */
export async function openSecureFront(options: FrontOptions): Promise<SecureFront> {
  const { home, at, announce, accept, failed, limits, incidents } = options;
  const mesh = await readMesh(home);
  if (mesh === undefined) {
    throw new MeshError('MESH_CONFIG_INVALID', 'TLS needs the CA of a mesh, and this home has no mesh', {
      where: home,
      mend: '`foremesh init` founds one',
    });
  }
  const authority = await ensureAuthority(home, mesh);
  const service = new JoiningService({ ...options, mesh, authority, runtimeFile: runtimePath(home) });
  const certificate = () => serverCertificate(home, authority, certifiedNames(at.host), limits.serverCertificateMs);
  let pair = await certificate();
  const listener = await listenTls(at, limits, accept, failed, {
    pair,
    authority: authority.certificate,
    answer: (request, response) => service.handle(request, response),
    refused: (error) => incidents.report('tls', { reason: error.message }, 'a TLS handshake came to nothing'),
  });
  await noteListening(home, { host: at.host, port: listener.port });
  const check = async () => {
    warnOfEnd(authority, home, incidents);
    const next = await certificate();
    if (next.certificate === pair.certificate) return;
    pair = next;
    listener.certify(pair);
    incidents.log.info({ names: certifiedNames(at.host) }, 'the broker has a new certificate');
  };
  warnOfEnd(authority, home, incidents);
  const timer = setInterval(() => {
    check().catch((error: unknown) =>
      incidents.report('certificate', { error: String(error) }, 'the certificate cannot be renewed', 'error'),
    );
  }, limits.certificateCheckMs);
  timer.unref();
  const announcer = announce ? await announced(home, authority, listener, options) : undefined;
  return {
    ...listener,
    close: async () => {
      clearInterval(timer);
      listener.close();
      await announcer?.close();
    },
  };
}

/** Undefined where nobody could come, or nobody could tell this mesh from another. */
async function announced(
  home: string,
  { fingerprint: ca }: Authority,
  { host: bracketed, port }: SecureListener,
  { limits, incidents }: FrontOptions,
): Promise<{ close(): Promise<void> } | undefined> {
  const host = bracketed.replace(/^\[|\]$/g, '');
  const { meshId } = await readAddress(home);
  if (isLoopback(host) || meshId === undefined) return undefined;
  const { Announcer } = await import('./announcer.ts');
  return new Announcer({ mesh: { meshId, ca }, host, port, limits, incidents });
}

/** The CA itself is the one certificate that nothing renews. */
function warnOfEnd({ endsAtMs }: Authority, home: string, incidents: Incidents): void {
  const days = warnedDaysBefore(endsAtMs - Date.now());
  if (days === undefined) return;
  const fields = { file: authorityPaths(home).certificate, ends: new Date(endsAtMs).toISOString() };
  incidents.report('authorityEnds', fields, `the CA of this mesh ends within ${days} days: found a new mesh before`);
}
