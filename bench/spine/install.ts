import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const bundle = join(import.meta.dirname, '../../node-runtime/bundle');
const installScripts = ['preinstall', 'install', 'postinstall', 'preprepare', 'prepare', 'postprepare'];

export interface InstalledDevice {
  /** What `npm install` put on the disk. */
  readonly sizeMiB: number;
  /** Its command `foremesh`. */
  readonly command: string;
}

/**
 * Packs the device product and installs it in an empty folder, without a network. Throws when anything of it is native or
 * runs a script at installation.
 */
export async function installDevice(directory: string): Promise<InstalledDevice> {
  const folder = join(directory, 'device');
  await mkdir(folder);
  await writeFile(join(folder, 'package.json'), '{ "private": true }\n');
  const options = ['--silent', '--offline', '--no-audit', '--no-fund', '--no-update-notifier'];
  const { stdout } = await run('npm', ['pack', bundle, '--json', '--pack-destination', directory, ...options]);
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  await run('npm', ['install', join(directory, filename), ...options], { cwd: folder });
  const modules = join(folder, 'node_modules');
  let bytes = 0;
  for (const entry of await readdir(modules, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    bytes += (await stat(path)).size;
    if (entry.name === 'binding.gyp' || entry.name.endsWith('.node')) throw new Error(`${path}: a native build`);
    if (entry.name === 'package.json') await refuseScripts(path);
  }
  return { sizeMiB: bytes / 1024 ** 2, command: join(modules, '@foremesh/node/foremesh.mjs') };
}

async function refuseScripts(path: string): Promise<void> {
  const { scripts } = JSON.parse(await readFile(path, 'utf8')) as { scripts?: Record<string, string> };
  const found = installScripts.find((name) => scripts?.[name] !== undefined);
  if (found !== undefined) throw new Error(`${path}: an install script (${found})`);
}
