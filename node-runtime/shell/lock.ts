import { mkdir, unlink } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { dirname } from 'node:path';
import { MeshError } from '../contract/index.ts';

/**
 * One runtime per home: a Unix socket that only a living process answers on, so that a killed one leaves no lock behind.
 * Throws `MESH_IDENTITY_IN_USE`.
 */
export async function lockHome(file: string): Promise<() => Promise<void>> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  for (let tries = 0; tries < 3; tries += 1) {
    const server = await listen(file);
    if (server !== undefined) {
      return () => new Promise((resolve) => server.close(() => resolve()));
    }
    if (await isAnswered(file)) break;
    await unlink(file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error; // another start was quicker to clear it
    });
  }
  throw new MeshError('MESH_IDENTITY_IN_USE', 'another runtime uses this home', {
    where: dirname(file),
    mend: 'stop it, or give this one a home of its own with --home',
  });
}

function listen(file: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.end());
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(new MeshError('MESH_STORAGE_FAILED', `cannot lock: ${error.message}`, { where: file, cause: error }));
    });
    server.listen(file, () => {
      server.unref();
      resolve(server);
    });
  });
}

function isAnswered(file: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(file);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
