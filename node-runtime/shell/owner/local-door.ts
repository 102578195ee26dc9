import { connect, type Socket } from 'node:net';
import {
  asMeshError,
  check,
  isErrorCode,
  MeshError,
  type PreferencesChange,
  type PreferencesHeld,
  preferencesChange,
  preferencesHeld,
  problem,
  type TrustChange,
  type TrustedKey,
  trustChange,
  trustedKeys,
} from '../../contract/index.ts';
import { changeTrustedAuthors, readTrustedAuthors } from '../authors/trusted-authors.ts';
import type { Home } from '../home.ts';
import { lockHome } from '../lock.ts';
import { changePreferences, readPreferences } from './preferences-file.ts';

const lineBytesMost = 65_536;
/** For the owner's word, and for what the node says to it once that is on its disk. */
const waitMs = { word: 2_000, answer: 20_000 };

/** What the owner can be told and asked at the door of a node that runs. */
export interface OwnersEar {
  change(change: PreferencesChange): Promise<PreferencesHeld>;
  trust(change: TrustChange): Promise<readonly TrustedKey[]>;
}

/**
 * The owner on the machine itself: one line of JSON with a change to the socket of the node's home, one line with what holds
 * then, or what is wrong. Who may open the socket is said by the rights of the home.
 */
export function answerOwner(socket: Socket, ear: OwnersEar): void {
  readLine(socket, waitMs.word)
    .then((line) => hear(ear, JSON.parse(line)))
    .catch((error: unknown) => {
      const { code, message, mend } = asMeshError(error, 'MESH_CONFIG_INVALID');
      return { problem: { code, message, ...(mend === undefined ? {} : { mend }) } };
    })
    .then((said) => socket.end(`${JSON.stringify(said)}\n`));
}

async function hear(ear: OwnersEar, said: unknown): Promise<unknown> {
  if (typeof said === 'object' && said !== null && 'trust' in said)
    return { keys: await ear.trust(check(trustChange, said.trust, 'MESH_CONFIG_INVALID')) };
  return ear.change(check(preferencesChange, said, 'MESH_CONFIG_INVALID'));
}

/** The same for whose code it runs on engine `node`. */
export async function tellTrust(
  home: Home,
  change: TrustChange,
): Promise<{ keys: readonly TrustedKey[]; isRunning: boolean }> {
  const said = await tell(home, { trust: change });
  if (said !== undefined) {
    const { keys } = said as { keys?: unknown };
    return { keys: check(trustedKeys, keys, 'MESH_CONFIG_INVALID'), isRunning: true };
  }
  const unlock = await lockHome(home.lockFile);
  try {
    return { keys: await changeTrustedAuthors(home, await readTrustedAuthors(home), change), isRunning: false };
  } finally {
    await unlock();
  }
}

/** Undefined when no node runs. Throws what the node has against it. */
async function tell(home: Home, word: object): Promise<unknown> {
  const line = await ask(home.lockFile, JSON.stringify(word));
  if (line === undefined) return undefined;
  const said = JSON.parse(line) as unknown;
  const failed = problem.safeParse((said as { problem?: unknown }).problem);
  if (!failed.success) return said;
  const { code, message, mend } = failed.data;
  throw new MeshError(isErrorCode(code) ? code : 'MESH_CONFIG_INVALID', message, mend === undefined ? {} : { mend });
}

/**
 * Tells the node of this home what its owner wants; when none runs, it finds it at its next start.
 *
 * @returns what holds, and whether a node runs that has taken it
 */
export async function tellNode(
  home: Home,
  change: PreferencesChange,
): Promise<{ preferences: PreferencesHeld; isRunning: boolean }> {
  const said = await tell(home, change);
  if (said !== undefined) return { preferences: check(preferencesHeld, said, 'MESH_CONFIG_INVALID'), isRunning: true };
  const unlock = await lockHome(home.lockFile);
  try {
    const held = await readPreferences(home);
    return { preferences: await changePreferences(home, held, 'device', change), isRunning: false };
  } finally {
    await unlock();
  }
}

/** Undefined when nobody is there. */
async function ask(file: string, line: string): Promise<string | undefined> {
  const socket = connect(file);
  try {
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    socket.write(`${line}\n`);
    return await readLine(socket, waitMs.answer);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTSOCK') return undefined;
    throw new MeshError('MESH_CONFIG_INVALID', `the node of this home cannot be told: ${message}`, {
      where: file,
      mend: code === 'EACCES' ? 'do it as the user of the node, or as root' : 'is the node of this release?',
      cause: error,
    });
  } finally {
    socket.destroy();
  }
}

function readLine(socket: Socket, withinMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.setEncoding('utf8');
    socket.setTimeout(withinMs, () => reject(new Error(`nothing was said for ${withinMs / 1_000} s`)));
    socket.on('data', (more: string) => {
      text += more;
      const end = text.indexOf('\n');
      if (end >= 0) resolve(text.slice(0, end));
      else if (text.length > lineBytesMost) reject(new Error('a line without an end'));
    });
    socket.once('end', () => reject(new Error('it hung up')));
    socket.once('error', reject);
  });
}
