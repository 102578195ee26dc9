import { createHash } from 'node:crypto';
import { mkdir, unlink } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname, resolve as resolvePath } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { MeshError } from '../contract/index.ts';

/** `sun_path` has 104 bytes on macOS and BSD, 108 on Linux; Node cuts a longer path off without a word. */
const pathBytesMost = 103;
/** What is said to who connects: nothing, unless it is the door of a node to its owner. */
type OnConnection = (socket: Socket) => void;
const hangUp: OnConnection = (socket) => socket.end();
/** How often to try for the right to clear a dead lock, and how long to wait between. */
const clearingTries = 200;
const clearingPauseMs = 5;

/**
 * One runtime per home: a Unix socket that only a living process answers on, so that a killed one leaves no lock behind.
 * Throws `MESH_IDENTITY_IN_USE`, `MESH_CONFIG_INVALID` (the path is too long) or `MESH_STORAGE_FAILED`.
 */
export async function lockHome(file: string, onConnection: OnConnection = hangUp): Promise<() => Promise<void>> {
  const excess = Buffer.byteLength(file) - pathBytesMost;
  if (excess > 0) {
    throw new MeshError('MESH_CONFIG_INVALID', `the path of the lock is ${excess} bytes too long for a Unix socket`, {
      where: file,
      mend: `choose a --home whose path is at least ${excess} bytes shorter`,
    });
  }
  await mkdir(dirname(file), { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw failed(file, error);
  });
  const server = (await listen(file, onConnection)) ?? (await takeOver(file, onConnection));
  if (server !== undefined) return () => close(server);
  throw new MeshError('MESH_IDENTITY_IN_USE', 'another runtime uses this home', {
    where: dirname(file),
    mend: 'stop it, or give this one a home of its own with --home',
  });
}

/**
 * Takes the lock of a process that is gone; undefined when it is in use. One at a time: the lock that a slower start saw
 * dead may be another's by the time it clears it.
 */
async function takeOver(file: string, onConnection: OnConnection): Promise<Server | undefined> {
  if (await isHomeInUse(file)) return undefined;
  const right = await rightToClear(file);
  try {
    if (await isHomeInUse(file)) return undefined;
    await unlink(file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw failed(file, error); // else it was given back just now
    });
    return await listen(file, onConnection);
  } finally {
    if (right !== undefined) await close(right);
  }
}

/** A socket in Linux's abstract namespace: it has no file, so nothing of it is left when its process dies. */
async function rightToClear(file: string): Promise<Server | undefined> {
  if (process.platform !== 'linux') return undefined;
  const name = `\0foremesh-${createHash('sha256').update(resolvePath(file)).digest('hex').slice(0, 32)}`;
  for (let tries = 0; tries < clearingTries; tries += 1) {
    const right = await listen(name, hangUp);
    if (right !== undefined) return right;
    await setTimeout(clearingPauseMs);
  }
  throw failed(file, new Error('another start has been clearing it for too long'));
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

function listen(file: string, onConnection: OnConnection): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy()); // who only wanted to know whether we are there has gone
      onConnection(socket);
    });
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(failed(file, error));
    });
    server.listen(file, () => {
      server.unref();
      resolve(server);
    });
  });
}

/** Whether a runtime has the home. Only a refusal, or no file, says that nobody is there: one that is busy, or another user's, is there. */
export function isHomeInUse(file: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(file);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', ({ code }: NodeJS.ErrnoException) =>
      resolve(code !== 'ECONNREFUSED' && code !== 'ENOENT' && code !== 'ENOTSOCK'),
    );
  });
}

function failed(file: string, error: unknown): MeshError {
  return new MeshError('MESH_STORAGE_FAILED', `cannot lock: ${(error as Error).message}`, {
    where: file,
    cause: error,
  });
}
