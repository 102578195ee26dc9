import { createHash, randomBytes, timingSafeEqual, type X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import {
  limits as contractLimits,
  type InvitationToken,
  isIdentifier,
  isPublicKey,
  MeshError,
} from '@foremesh/node-runtime/contract';
import * as z from 'zod';
import { HomeFile } from '../home-file.ts';
import { brokerLimits } from '../limits.ts';

const identifier = z.string().refine(isIdentifier);
const publicKey = z.string().refine(isPublicKey);
const timeMs = z.number().int().min(0);

const invitation = z.strictObject({
  /** SHA-256 of the secret, which has 144 random bits. */
  hash: z.base64().length(44),
  endsAtMs: timeMs,
  usesLeft: z.number().int().min(0),
  mayLead: z.boolean(),
  /** The keys that used it: the same key may ask again, should the answer be lost. */
  usedBy: z.array(publicKey),
});
const member = z.strictObject({ publicKey, mayLead: z.boolean(), endsAtMs: timeMs });
const fileSchema = z.strictObject({
  v: z.literal(1),
  invitations: z.record(identifier, invitation),
  nodes: z.record(identifier, member),
  /** Keys whose certificates are refused. */
  removed: z.record(publicKey, z.strictObject({ node: identifier, atMs: timeMs })),
});
type MembersFile = z.infer<typeof fileSchema>;

/** An invitation that is over is remembered this long, to be told from one that never was. */
const rememberedMs = 86_400_000;

export interface Candidate {
  readonly node: string;
  readonly publicKey: string;
}

/** Who was invited, who has a certificate, and whose certificate counts no longer. In the home, shared with the command line. */
export class Members {
  readonly #file: HomeFile<MembersFile>;
  readonly #nowMs: () => number;

  constructor(home: string, nowMs: () => number = Date.now) {
    this.#nowMs = nowMs;
    this.#file = new HomeFile({
      path: join(home, 'members.json'),
      what: 'members',
      schema: fileSchema,
      empty: () => ({ v: 1, invitations: {}, nodes: {}, removed: {} }),
      mostBytes: brokerLimits.membersFileBytes,
      mend: 'restore it from a backup; without it nodes keep their certificates, removed ones too',
    });
  }

  get path(): string {
    return this.#file.path;
  }

  /** As `HomeFile.onChange`. */
  onChange(listener: () => void): void {
    this.#file.onChange(listener);
  }

  /** As `HomeFile.refresh`. */
  refresh(): Promise<boolean> {
    return this.#file.refresh();
  }

  /** The secret is in the answer and nowhere else. */
  async invite(wanted: { ttlMs: number; uses: number; mayLead: boolean }): Promise<InvitationToken> {
    const id = randomBytes(6).toString('base64url');
    const secret = randomBytes(18).toString('base64url');
    await this.#file.change(({ invitations }) => {
      const nowMs = this.#nowMs();
      for (const [old, { endsAtMs }] of Object.entries(invitations)) {
        if (endsAtMs + rememberedMs < nowMs) delete invitations[old];
      }
      if (Object.keys(invitations).length >= brokerLimits.invitations) {
        throw new MeshError('MESH_LIMIT_EXCEEDED', `invitations is ${brokerLimits.invitations}`, {
          mend: 'a day after its end an invitation is forgotten; one with --uses serves many devices',
        });
      }
      invitations[id] = {
        hash: hashOf(secret),
        endsAtMs: nowMs + wanted.ttlMs,
        usesLeft: wanted.uses,
        mayLead: wanted.mayLead,
        usedBy: [],
      };
    });
    return { id, secret };
  }

  /**
   * Takes one use of the invitation for this node; on disk when it resolves. Throws `MESH_INVITATION_UNKNOWN`, `_EXPIRED`,
   * `_USED`, `MESH_NODE_REMOVED`, `MESH_NOT_ADMITTED`, `MESH_LIMIT_EXCEEDED`: then nothing is used.
   */
  admit(token: InvitationToken, candidate: Candidate, endsAtMs: number): Promise<{ readonly mayLead: boolean }> {
    return this.#file.change((file) => {
      const found = checkInvitation(file, token, candidate.publicKey, this.#nowMs());
      const problem = identityProblem(file, candidate);
      if (problem !== undefined) throw problem;
      if (!Object.hasOwn(file.nodes, candidate.node)) checkRoom(file);
      if (!found.usedBy.includes(candidate.publicKey)) {
        found.usesLeft -= 1;
        found.usedBy.push(candidate.publicKey);
      }
      file.nodes[candidate.node] = { publicKey: candidate.publicKey, mayLead: found.mayLead, endsAtMs };
      return { mayLead: found.mayLead };
    });
  }

  /** Notes that the node's certificate ends later now. */
  async extend(known: Candidate & { readonly mayLead: boolean }, endsAtMs: number): Promise<void> {
    const { node, publicKey, mayLead } = known;
    await this.#file.change((file) => {
      const problem = identityProblem(file, known);
      if (problem !== undefined) throw problem;
      file.nodes[node] = { publicKey, mayLead, endsAtMs };
    });
  }

  /** Refuses the certificates of the node from now on. False when no node of this id has joined by certificate. */
  async remove(node: string): Promise<boolean> {
    await this.refresh();
    if (!Object.hasOwn(this.#file.value.nodes, node))
      return Object.values(this.#file.value.removed).some((each) => each.node === node);
    return this.#file.change(({ nodes, removed }) => {
      const known = nodes[node];
      if (known === undefined) return true; // by another, meanwhile
      delete nodes[node];
      const [oldest] = Object.entries(removed).sort(([, a], [, b]) => a.atMs - b.atMs);
      if (Object.keys(removed).length >= contractLimits.removedNodesKept) delete removed[oldest![0]];
      removed[known.publicKey] = { node, atMs: this.#nowMs() };
      return true;
    });
  }

  /** Why who comes under this id with this key is not let in, if there is a reason. */
  problemOf(candidate: Candidate): MeshError | undefined {
    return identityProblem(this.#file.value, candidate);
  }

  knows(node: string): boolean {
    const { nodes, removed } = this.#file.value;
    return Object.hasOwn(nodes, node) || Object.values(removed).some((each) => each.node === node);
  }

  /** When the newest certificate of the node ends; undefined for one that is not noted here. */
  endOf(node: string): number | undefined {
    const { nodes } = this.#file.value;
    return Object.hasOwn(nodes, node) ? nodes[node]!.endsAtMs : undefined;
  }
}

/** For the command line, on the broker's machine: whether the node has a certificate, or had one that was refused. */
export async function isMember(home: string, node: string): Promise<boolean> {
  const members = new Members(home);
  await members.refresh();
  return members.knows(node);
}

/** For the command line, on the broker's machine: as `Members.remove`. */
export function removeMember(home: string, node: string): Promise<boolean> {
  return new Members(home).remove(node);
}

/** The node of a certificate that the mesh's CA has signed; undefined when it is not a node's. */
export function nodeOf(certificate: X509Certificate): (Candidate & { readonly mayLead: boolean }) | undefined {
  const fields = new Map(certificate.subject.split('\n').map((line) => line.split('=', 2) as [string, string]));
  const node = fields.get('CN');
  if (node === undefined || !isIdentifier(node) || certificate.publicKey.asymmetricKeyType !== 'ed25519')
    return undefined;
  const { x } = certificate.publicKey.export({ format: 'jwk' });
  return { node, publicKey: x!, mayLead: fields.get('OU') === 'lead' };
}

function checkInvitation({ invitations }: MembersFile, { id, secret }: InvitationToken, key: string, nowMs: number) {
  const found = Object.hasOwn(invitations, id) ? invitations[id]! : undefined;
  const mend = 'ask the owner of the mesh for another: `foremesh invite`';
  if (found === undefined || !timingSafeEqual(Buffer.from(found.hash), Buffer.from(hashOf(secret)))) {
    throw new MeshError('MESH_INVITATION_UNKNOWN', 'the broker knows no such invitation', { mend });
  }
  if (nowMs >= found.endsAtMs) {
    const ended = new Date(found.endsAtMs).toISOString();
    throw new MeshError('MESH_INVITATION_EXPIRED', `the invitation ended ${ended}`, { mend });
  }
  if (found.usesLeft === 0 && !found.usedBy.includes(key)) {
    throw new MeshError('MESH_INVITATION_USED', 'the invitation has been used', { mend });
  }
  return found;
}

function identityProblem({ nodes, removed }: MembersFile, { node, publicKey: key }: Candidate): MeshError | undefined {
  if (Object.hasOwn(removed, key)) {
    return new MeshError('MESH_NODE_REMOVED', `the owner has removed this node ("${removed[key]!.node}")`, {
      mend: 'to come back as a new node: remove node.json, node.key and membership.json in its home, and join anew',
    });
  }
  if (!Object.hasOwn(nodes, node) || nodes[node]!.publicKey === key) return undefined;
  return keyTaken(node);
}

export function keyTaken(node: string): MeshError {
  return new MeshError('MESH_NOT_ADMITTED', `the mesh knows a node "${node}", with another key`, {
    mend: `give this one another --name; or, if the other is gone for good, \`foremesh nodes remove ${node}\` on the hub`,
  });
}

function checkRoom({ nodes }: MembersFile): void {
  if (Object.keys(nodes).length < contractLimits.nodesPerMesh) return;
  throw new MeshError('MESH_LIMIT_EXCEEDED', `nodesPerMesh is ${contractLimits.nodesPerMesh}`);
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64');
}
