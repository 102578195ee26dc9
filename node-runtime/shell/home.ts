import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import {
  type Connection,
  check,
  checkNodeName,
  formatConnection,
  identifier,
  MeshError,
  parseConnection,
  publicKey,
  version,
} from '../contract/index.ts';
import { writeDurably } from './durable-file.ts';
import { damagedKey, type KeyPair, makeKey, readKey } from './identity.ts';

/** Where one node (and, on the founder's box, its broker) keeps everything. */
export interface Home {
  readonly directory: string;
  readonly meshFile: string;
  readonly nodeFile: string;
  /** The private key of this node. */
  readonly keyFile: string;
  readonly connectionFile: string;
  /** What joining has left: the certificate of this node, the CA, where the broker is. */
  readonly membershipFile: string;
  /** The CA's certificate, where the broker is on this machine. */
  readonly authorityFile: string;
  /** The replicated log, on voters. */
  readonly logDirectory: string;
  readonly blobsDirectory: string;
  readonly outcomesFile: string;
  /** What the machine has measured. */
  readonly historyDirectory: string;
  readonly trustFile: string;
  /** What the owner lets the mesh have of this device. */
  readonly preferencesFile: string;
  readonly trafficFile: string;
  /** The keys with which the author who works in this home signs code. */
  readonly keysDirectory: string;
  /** Whose signed code the node of this home runs. */
  readonly authorsFile: string;
  /** Which versions of it the node has accepted. */
  readonly acceptedCodeFile: string;
  /** Says that this node has a log; beside its identity, so that one does not outlive the other. */
  readonly voterFile: string;
  readonly lockFile: string;
}

/** `--home`, else `$FOREMESH_HOME`, else `~/.foremesh`. */
export function openHome(option: string | undefined, environment: Readonly<Record<string, string | undefined>>): Home {
  const directory = option ?? environment.FOREMESH_HOME ?? join(homedir(), '.foremesh');
  return {
    directory,
    meshFile: join(directory, 'mesh.json'),
    nodeFile: join(directory, 'node.json'),
    keyFile: join(directory, 'node.key'),
    connectionFile: join(directory, 'connection'),
    membershipFile: join(directory, 'membership.json'),
    authorityFile: join(directory, 'ca.pem'),
    logDirectory: join(directory, 'node', 'log'),
    blobsDirectory: join(directory, 'node', 'blobs'),
    outcomesFile: join(directory, 'node', 'outcomes'),
    historyDirectory: join(directory, 'node', 'history'),
    trustFile: join(directory, 'node', 'trust.json'),
    preferencesFile: join(directory, 'preferences.json'),
    trafficFile: join(directory, 'node', 'traffic.json'),
    keysDirectory: join(directory, 'keys'),
    authorsFile: join(directory, 'trusted-authors.json'),
    acceptedCodeFile: join(directory, 'node', 'accepted-code.json'),
    voterFile: join(directory, 'node.voter'),
    lockFile: join(directory, 'node', 'lock'),
  };
}

/** What `init` decides once for a mesh. `id` is the founder's public key. */
export const meshFile = z.object({ v: version, mesh: identifier, id: publicKey, founder: identifier });
export type MeshFile = z.infer<typeof meshFile>;

/** Who this node is; made at its first start. */
export const nodeFile = z.object({ v: version, node: identifier });
export type NodeFile = z.infer<typeof nodeFile>;

export async function readMeshFile(home: Home): Promise<MeshFile | undefined> {
  return readJson(home.meshFile, meshFile);
}
export async function readNodeFile(home: Home): Promise<NodeFile | undefined> {
  return readJson(home.nodeFile, nodeFile);
}

export async function readConnection(home: Home): Promise<Connection | undefined> {
  const text = await readIfThere(home.connectionFile);
  return text === undefined ? undefined : parseConnection(text, home.connectionFile);
}

export async function writeConnection(home: Home, connection: Connection): Promise<void> {
  await writeDurably(home.connectionFile, `${formatConnection(connection)}\n`, 0o600);
}

/** Who this node is, and the key that shows it. */
export interface Identity extends KeyPair {
  readonly node: string;
}

/**
 * The identity in the home, or a new one: the name asked for, else the host's name and a few letters. Throws
 * `MESH_IDENTITY_DAMAGED` when the home has an id without its key.
 */
export async function openIdentity(home: Home, name: string | undefined): Promise<Identity> {
  const identity = await proposeIdentity(home, name);
  await keepName(home, identity.node);
  return identity;
}

/** The same, and a name that is new is not written down before `keepName`: the mesh may have something against it. */
export async function proposeIdentity(home: Home, name: string | undefined): Promise<Identity> {
  const known = await readNodeFile(home);
  const key = await readKey(home.keyFile);
  if (known !== undefined) {
    if (name !== undefined && name !== known.node) {
      throw new MeshError('MESH_CONFIG_INVALID', `this home belongs to node "${known.node}", not "${name}"`, {
        where: home.nodeFile,
        mend: 'leave out --name, or use another --home',
      });
    }
    if (key === undefined) throw damagedKey(home.keyFile, `the private key of node "${known.node}" is missing`);
    return { node: known.node, ...key };
  }
  if (name !== undefined) checkNodeName(name); // written down it would be there for good
  // The key first: a crash between the two leaves a key without a name, which the next start takes up.
  const made = key ?? (await makeKey(home.keyFile));
  return { node: name ?? nameOf(made.publicKey), ...made };
}

export async function keepName(home: Home, node: string): Promise<void> {
  if ((await readNodeFile(home)) === undefined)
    await writeDurably(home.nodeFile, `${JSON.stringify({ v: 1, node })}\n`);
}

/** After the host, and the same for the same key. */
function nameOf(key: string): string {
  const host =
    hostname()
      .replace(/[^A-Za-z0-9_-]/g, '-')
      .replace(/-+/g, '-')
      .slice(0, 40) || 'node';
  return `${host}-${createHash('sha256').update(key).digest('hex').slice(0, 6)}`;
}

/** The id alone. */
export async function identityOf(home: Home, name: string | undefined): Promise<string> {
  return (await openIdentity(home, name)).node;
}

/** Undefined when there is no such file. Throws `MESH_CONFIG_INVALID` or `MESH_STORAGE_FAILED`. */
export async function readJson<T>(file: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const text = await readIfThere(file);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new MeshError('MESH_CONFIG_INVALID', `not valid JSON: ${(error as Error).message}`, {
      where: file,
      cause: error,
    });
  }
  try {
    return check(schema, value, 'MESH_CONFIG_INVALID');
  } catch (error) {
    const { message, where } = error as MeshError;
    throw new MeshError('MESH_CONFIG_INVALID', message, { where: `${file}: ${where}` });
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new MeshError('MESH_STORAGE_FAILED', `cannot read: ${(error as Error).message}`, {
      where: file,
      cause: error,
    });
  }
}
