import { createHash, X509Certificate } from 'node:crypto';
import * as z from 'zod';
import {
  type Address,
  certificateAnswer,
  identifier,
  MeshError,
  type MeshPlace,
  publicKey,
  version,
} from '../../contract/index.ts';
import { writeDurably } from '../durable-file.ts';
import { type Home, type Identity, readJson } from '../home.ts';
import type { PinnedTarget } from '../pinned-tls.ts';

/** What joining leaves in the home of a node, and renewing replaces. */
export const membershipFile = z.object({
  ...certificateAnswer.shape,
  v: version,
  meshId: publicKey,
  profile: z.enum(['edge', 'lan']).optional(),
  node: identifier,
  addresses: z.array(z.object({ host: z.string(), port: z.number().int().min(1).max(65_535) })).min(1),
});
export type Membership = z.infer<typeof membershipFile>;

/** Undefined when the home has not joined. Throws `MESH_CONFIG_INVALID` when the file is damaged, `MESH_STORAGE_FAILED`. */
export function readMembership(home: Home): Promise<Membership | undefined> {
  return readJson(home.membershipFile, membershipFile);
}

export async function writeMembership(home: Home, membership: Membership): Promise<void> {
  await writeDurably(home.membershipFile, `${JSON.stringify(membership, null, 2)}\n`, 0o600);
}

/** Where the mesh is that was joined. */
export function placeOf({ addresses, mesh, meshId, profile, authority }: Membership): MeshPlace & { meshId: string } {
  const [first, ...others] = addresses as [Address, ...Address[]];
  return {
    ...first,
    ...(others.length === 0 ? {} : { others }),
    mesh,
    meshId,
    ca: fingerprintOf(authority),
    ...(profile === undefined ? {} : { profile }),
  };
}

/** What the node shows of itself. */
export function ownOf({ certificate }: Pick<Membership, 'certificate'>, identity: Identity): PinnedTarget['own'] & {} {
  return { certificate, key: identity.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string };
}

/** SHA-256 of a certificate, in base64url. */
export function fingerprintOf(certificate: string): string {
  try {
    return createHash('sha256').update(new X509Certificate(certificate).raw).digest('base64url');
  } catch (error) {
    throw new MeshError('MESH_CONFIG_INVALID', `this is no certificate: ${(error as Error).message}`, { cause: error });
  }
}
