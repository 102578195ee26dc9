import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { MeshError } from '@foremesh/node-runtime/contract';
import { isMissing, replaceFile } from '../home-file.ts';

const run = promisify(execFile);
const packMs = 60_000;

/** The runtime's own package, as the broker serves it to devices that have none. */
export function runtimePath(home: string): string {
  return join(home, 'broker', 'runtime.tgz');
}

/**
 * Packs the runtime that is installed here, unless that has been done since it was built; its SHA-256 is written beside
 * it. Returns the hash; undefined when the device bundle has not been built. Throws `MESH_STORAGE_FAILED`.
 */
export async function packRuntime(home: string): Promise<string | undefined> {
  const bundle = join(packageFolder(), 'bundle');
  const builtMs = await newestMs(bundle);
  if (builtMs === undefined) return undefined;
  const path = runtimePath(home);
  const hashPath = `${path}.sha256`;
  if (((await changedMs(hashPath)) ?? 0) > builtMs) return (await readFile(hashPath, 'utf8')).split(' ')[0]!;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const folder = await mkdtemp(join(dirname(path), 'pack-'));
  try {
    await run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder, bundle], {
      timeout: packMs,
    });
    const [name] = await readdir(folder);
    const hash = createHash('sha256')
      .update(await readFile(join(folder, name!)))
      .digest('hex');
    await rename(join(folder, name!), path);
    await replaceFile(hashPath, `${hash}  runtime.tgz\n`);
    return hash;
  } catch (error) {
    throw new MeshError('MESH_STORAGE_FAILED', `the runtime cannot be packed: ${(error as Error).message}`, {
      where: path,
      mend: 'is npm installed, and is there room?',
      cause: error,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Of node-runtime, from source and as installed. */
function packageFolder(): string {
  const contract = createRequire(import.meta.url).resolve('@foremesh/node-runtime/contract');
  return contract.slice(0, contract.search(/[/\\](dist[/\\])?contract[/\\]index\.[jt]s$/));
}

async function newestMs(folder: string): Promise<number | undefined> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw new MeshError('MESH_STORAGE_FAILED', (error as Error).message, { where: folder, cause: error });
  }
  const times = await Promise.all(names.map((name) => changedMs(join(folder, name))));
  return names.includes('foremesh.mjs') ? Math.max(...times.map((ms) => ms ?? 0)) : undefined;
}

async function changedMs(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw new MeshError('MESH_STORAGE_FAILED', (error as Error).message, { where: path, cause: error });
  }
}
