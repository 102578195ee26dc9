import { sign, X509Certificate } from 'node:crypto';
import {
  type Address,
  addressesOf,
  type CertificateAnswer,
  certificateAnswer,
  clockProblem,
  type Invitation,
  joiningPaths,
  joinStatement,
  MeshError,
  membershipAnswer,
  runsHere,
} from '../../contract/index.ts';
import { type Home, type Identity, keepName, proposeIdentity, readConnection, readMeshFile } from '../home.ts';
import { isHomeInUse } from '../lock.ts';
import { BrokerWay } from './broker-way.ts';
import { fingerprintOf, type Membership, ownOf, readMembership, writeMembership } from './membership.ts';

export interface JoinOptions {
  readonly home: Home;
  readonly invitation: Invitation;
  /** Else after the host. */
  readonly name?: string;
  /** For all steps together; 25 s unless said. */
  readonly timeoutMs?: number;
  readonly onReached?: () => void;
  readonly onTrusted?: () => void;
  /** No address of the invitation was reached, and mDNS names these, which are tried next. */
  readonly onFound?: (places: readonly Address[]) => void;
}

export interface Joined {
  /** With the address first that mDNS found, if it did and that was the mesh. */
  readonly membership: Membership;
  /** False when this home had joined before, and its certificate is good. */
  readonly isNew: boolean;
}

const defaultTimeoutMs = 25_000;

/**
 * Makes this home a node of the mesh: reaches its broker, makes sure that it is the one, and has the node's key certified.
 * Done again, it only looks whether the certificate is good. Throws `MESH_CONFIG_INVALID` when the home is of another mesh,
 * and with its reason what the broker refuses: `MESH_INVITATION_...`, `MESH_CLOCK_WRONG`, `MESH_NOT_ADMITTED`,
 * `MESH_IDENTITY_CLONED`, `MESH_NODE_REMOVED`; or what `askBroker` throws. When no address of the invitation is reached, the
 * mesh is looked for in the local network.
 */
export async function joinMesh(options: JoinOptions): Promise<Joined> {
  const { home, invitation, name } = options;
  await refuseOtherMesh(home, invitation);
  const identity = await proposeIdentity(home, name);
  const known = await readMembership(home);
  const way = new BrokerWay({ timeoutMs: defaultTimeoutMs, ...options });
  if (known !== undefined) {
    if (known.meshId !== invitation.meshId) throw otherMesh(home, known.mesh);
    if (await isGood(known, identity, home, way)) {
      const membership = { ...known, addresses: way.addresses };
      if (JSON.stringify(membership) !== JSON.stringify(known)) await writeMembership(home, membership);
      return { membership, isNew: false };
    }
  }
  const answer = await certify(identity, invitation, way);
  const membership = { ...membershipOf(answer, identity, invitation), addresses: way.addresses };
  await keepName(home, identity.node);
  await writeMembership(home, membership);
  return { membership, isNew: true };
}

async function certify(identity: Identity, { token }: Invitation, way: BrokerWay): Promise<CertificateAnswer> {
  const { node, publicKey, privateKey } = identity;
  const asked = { invitation: token.id, node, publicKey };
  const signature = sign(null, Buffer.from(joinStatement(asked)), privateKey).toString('base64url');
  return way.ask({
    path: joiningPaths.join,
    body: { v: 1, ...asked, secret: token.secret, signature, clockMs: Date.now() },
    schema: certificateAnswer,
  });
}

/** Asked with the certificate itself. Of one that has ended: false. */
async function isGood(known: Membership, identity: Identity, home: Home, way: BrokerWay): Promise<boolean> {
  const { membership } = joiningPaths;
  const path = (await isHomeInUse(home.lockFile)) ? `${membership}?${runsHere}` : membership;
  try {
    const { nowMs } = await way.ask({ path, schema: membershipAnswer }, ownOf(known, identity));
    const problem = clockProblem(Date.now(), nowMs, new Date(nowMs).toISOString());
    if (problem !== undefined) throw problem;
    return true;
  } catch (error) {
    if (error instanceof MeshError && error.code === 'MESH_CERTIFICATE_ENDED') return false;
    throw error;
  }
}

/** The answer, when it is what was asked for. Throws `MESH_CA_MISMATCH`. */
export function membershipOf(
  answer: CertificateAnswer,
  { node, publicKey }: Identity,
  place: {
    readonly mesh: string;
    readonly meshId: string;
    readonly ca: string;
    readonly profile?: 'edge' | 'lan';
  } & Address,
): Membership {
  const authority = new X509Certificate(answer.authority);
  const certificate = new X509Certificate(answer.certificate);
  const isOurs =
    fingerprintOf(answer.authority) === place.ca &&
    certificate.verify(authority.publicKey) &&
    certificate.publicKey.export({ format: 'jwk' }).x === publicKey;
  if (!isOurs || answer.node !== node || answer.mesh !== place.mesh) {
    throw new MeshError('MESH_CA_MISMATCH', 'the broker gave a certificate of another node or mesh', {
      mend: 'take an invitation that this broker has made',
    });
  }
  const { meshId, profile } = place;
  return {
    ...answer,
    meshId,
    ...(profile === undefined ? {} : { profile }),
    addresses: [...addressesOf(place)],
  };
}

async function refuseOtherMesh(home: Home, { meshId }: Invitation): Promise<void> {
  const founded = await readMeshFile(home);
  if (founded !== undefined) {
    throw new MeshError('MESH_CONFIG_INVALID', `mesh "${founded.mesh}" was founded in this home`, {
      where: home.directory,
      mend: 'its node needs no invitation; for another one give another --home',
    });
  }
  const connection = await readConnection(home);
  if (connection !== undefined && connection.meshId !== meshId) throw otherMesh(home, connection.mesh);
}

function otherMesh(home: Home, mesh: string): MeshError {
  return new MeshError('MESH_CONFIG_INVALID', `this home belongs to mesh "${mesh}"`, {
    where: home.directory,
    mend: 'use another --home',
  });
}
