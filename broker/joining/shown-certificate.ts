import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { MeshError } from '@foremesh/node-runtime/contract';
import type { Members } from './members.ts';
import { type Candidate, nodeOf } from './members.ts';

export type ShownNode = Candidate & { readonly mayLead: boolean; readonly endsAtMs: number };

/** The node whose certificate opened this connection; undefined when none was shown. Throws why it does not count. */
export function shownNode(socket: Socket, members: Members): ShownNode | undefined {
  const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  if (certificate === undefined) return undefined;
  const { authorized, authorizationError } = socket as TLSSocket;
  const endsAtMs = Date.parse(certificate.validTo);
  if (String(authorizationError) === 'CERT_HAS_EXPIRED' || endsAtMs <= Date.now()) {
    throw new MeshError('MESH_CERTIFICATE_ENDED', `the certificate of this node ended ${certificate.validTo}`, {
      mend: 'join anew, with another invitation; the node keeps its name and key',
    });
  }
  const node = authorized ? nodeOf(certificate) : undefined;
  if (node === undefined) {
    throw new MeshError('MESH_CA_MISMATCH', "the certificate is not one that this mesh's CA gave to a node", {
      mend: 'join this mesh: `foremesh join` with an invitation of it',
    });
  }
  const problem = members.problemOf(node);
  if (problem !== undefined) throw problem;
  return { ...node, endsAtMs };
}
