import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatConnection } from '@foremesh/node-runtime/contract';
import { ScriptedMesh } from '../sdk/scripted-mesh.ts';
import { FakeIo } from './fake-io.ts';

/** For a suite of commands: a mesh, and processes that are connected to it, in a folder whose files `path` names. */
export function meshOfSuite() {
  const mesh = new ScriptedMesh();
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'foremesh-cli-'));
    await mesh.startBroker();
  });
  after(async () => {
    await mesh.close();
    await rm(folder, { recursive: true });
  });
  return {
    mesh,
    path: (...names: string[]) => join(folder, ...names),
    newIo: (environment: Record<string, string> = {}) =>
      new FakeIo(folder, { FOREMESH_CONNECTION: formatConnection(mesh.connection), ...environment }),
  };
}
