import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { type Connection, checkIdentifier, MeshError, tlsPort } from '../contract/index.ts';
import { writeDurably } from './durable-file.ts';
import {
  type Home,
  type Identity,
  type MeshFile,
  openIdentity,
  readConnection,
  readMeshFile,
  writeConnection,
} from './home.ts';
import { markVoter } from './voter/voter-mark.ts';

export interface FoundOptions {
  readonly home: Home;
  /** The name of the mesh; random when left out. */
  readonly mesh?: string;
  readonly node?: string;
  readonly account?: string;
  readonly host?: string;
  readonly port?: number;
  readonly profile?: Connection['profile'];
  /** Makes the first account at the broker; returns its password. */
  readonly createAccount: (directory: string, account: string) => Promise<string>;
  /** Makes the CA of the mesh; returns its fingerprint. With it the broker is reached over TLS at `host` and `port`. */
  readonly createAuthority?: (directory: string, mesh: string) => Promise<string>;
}

/**
 * Founds a mesh in a home: its name, its id, its founder (the first voter, whose key is the id), the first account, the
 * connection string. Nothing else
 * ever founds one: a node that hears nobody waits. Throws `MESH_CONFIG_INVALID` when the home has a mesh.
 */
export async function foundMesh(options: FoundOptions): Promise<Connection> {
  const { home } = options;
  const before = await readMeshFile(home);
  if (before !== undefined || (await readConnection(home)) !== undefined) {
    throw new MeshError(
      'MESH_CONFIG_INVALID',
      before === undefined ? 'this home has joined a mesh' : `this home has mesh "${before.mesh}"`,
      {
        where: home.directory,
        mend: '`foremesh up` starts it; for another mesh give another --home',
      },
    );
  }
  await mkdir(home.directory, { recursive: true, mode: 0o700 });
  const mesh = checkIdentifier(options.mesh ?? `mesh-${randomBytes(4).toString('hex')}`, 'mesh');
  const account = checkIdentifier(options.account ?? 'owner', 'account');
  const { node: founder, publicKey: meshId } = await openIdentity(home, options.node);
  const password = await options.createAccount(home.directory, account);
  const ca = await options.createAuthority?.(home.directory, mesh);
  const { host = '127.0.0.1', port = ca === undefined ? 1883 : tlsPort, profile } = options;
  const connection = {
    host,
    port,
    mesh,
    meshId,
    ...(ca === undefined ? {} : { ca }),
    account,
    password,
    ...(profile === undefined ? {} : { profile }),
  };
  await writeConnection(home, connection);
  await markVoter(home);
  // Last: with it the mesh is founded.
  await writeDurably(home.meshFile, `${JSON.stringify({ v: 1, mesh, id: meshId, founder })}\n`);
  return connection;
}

/** Throws `MESH_IDENTITY_DAMAGED` when the mesh was founded under this name with another key. */
export function isFounderOf(mesh: MeshFile | undefined, { node, publicKey }: Identity): boolean {
  if (mesh?.founder !== node) return false;
  if (mesh.id === publicKey) return true;
  throw new MeshError('MESH_IDENTITY_DAMAGED', `"${node}" founded this mesh with another key`, {
    mend: 'put node.key back from a backup; without it nobody can show that this is the mesh that was founded',
  });
}
