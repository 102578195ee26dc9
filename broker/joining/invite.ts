import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Address,
  limits as contractLimits,
  formatInvitation,
  type Invitation,
  isLoopback,
  MeshError,
} from '@foremesh/node-runtime/contract';
import * as z from 'zod';
import { readAddress } from '../home.ts';
import { isMissing, replaceFile } from '../home-file.ts';
import { brokerLimits } from '../limits.ts';
import { isAny, ownAddresses } from './addresses.ts';
import { ensureAuthority } from './authority.ts';
import { Members } from './members.ts';
import { packRuntime } from './runtime-package.ts';

const listening = z.object({ host: z.string(), port: z.number(), pid: z.number() });

function listeningPath(home: string): string {
  return join(home, 'broker', 'listening.json');
}

/** For `invite`: where the broker of this home is reached over TLS. */
export async function noteListening(home: string, { host, port }: Address): Promise<void> {
  await replaceFile(listeningPath(home), `${JSON.stringify({ host, port, pid: process.pid })}\n`);
}

export interface InviteWish {
  readonly ttlMs: number;
  readonly uses: number;
  readonly mayLead: boolean;
}

export interface Invited {
  readonly text: string;
  readonly invitation: Invitation;
  /** The string as a QR code, line by line. */
  readonly qrLines: readonly string[];
  readonly endsAtMs: number;
  /** Whether the broker runs now: without it nobody can join. */
  readonly isRunning: boolean;
  /** SHA-256 of the runtime's package that the broker serves; absent when it has none. */
  readonly runtimeHash?: string;
}

/** Makes an invitation on the broker's machine. Throws `MESH_CONFIG_INVALID`, `MESH_LIMIT_EXCEEDED`, `MESH_STORAGE_FAILED`. */
export async function inviteDevice(home: string, wish: InviteWish): Promise<Invited> {
  if (wish.ttlMs > brokerLimits.invitationMs || wish.uses > brokerLimits.invitationUses) {
    const { invitationMs, invitationUses } = brokerLimits;
    throw new MeshError('MESH_LIMIT_EXCEEDED', `invitationMs is ${invitationMs}, invitationUses is ${invitationUses}`);
  }
  const founded = await readAddress(home);
  if (founded.mesh === undefined || founded.meshId === undefined) {
    throw new MeshError('MESH_CONFIG_INVALID', 'no mesh was founded in this home', {
      where: home,
      mend: "run it on the broker's machine, as its user; `foremesh init` founds a mesh",
    });
  }
  const { addresses, isRunning } = await reachedAt(home, founded.ca === undefined ? undefined : founded);
  const { fingerprint } = await ensureAuthority(home, founded.mesh);
  const runtimeHash = await packRuntime(home);
  const token = await new Members(home).invite(wish);
  const [first, ...others] = addresses.slice(0, contractLimits.addressesPerConnection);
  const { mesh, meshId, profile } = founded;
  const invitation: Invitation = {
    ...first!,
    ...(others.length === 0 ? {} : { others }),
    mesh,
    meshId,
    ca: fingerprint,
    token,
    ...(profile === undefined ? {} : { profile }),
  };
  const text = formatInvitation(invitation);
  const { renderUnicodeCompact } = await import('uqr');
  return {
    text,
    invitation,
    qrLines: renderUnicodeCompact(text, { ecc: 'L', border: 2 }).split('\n'),
    endsAtMs: Date.now() + wish.ttlMs,
    isRunning,
    ...(runtimeHash === undefined ? {} : { runtimeHash }),
  };
}

/** The addresses of the broker's TLS port: real ones, of this machine. */
async function reachedAt(
  home: string,
  founded: Address | undefined,
): Promise<{ readonly addresses: readonly Address[]; readonly isRunning: boolean }> {
  const noted = await readListening(home);
  const at = noted ?? founded;
  if (at === undefined) {
    throw new MeshError('MESH_CONFIG_INVALID', 'the broker of this mesh listens on this machine alone', {
      where: home,
      mend: 'start it for others: `foremesh up --host ADDRESS`, with the address of this machine in its network',
    });
  }
  const hosts = isAny(at.host)
    ? [...(founded === undefined || isLoopback(founded.host) ? [] : [founded.host]), ...ownAddresses()]
    : [at.host];
  return {
    addresses: [...new Set(hosts)].map((host) => ({ host, port: at.port })),
    isRunning: noted !== undefined && isAlive(noted.pid),
  };
}

async function readListening(home: string) {
  try {
    return listening.parse(JSON.parse(await readFile(listeningPath(home), 'utf8')));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw new MeshError('MESH_CONFIG_INVALID', `it does not say where the broker listens: ${error}`, {
      where: listeningPath(home),
      mend: 'remove it and start the broker again',
    });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'; // another user's
  }
}
