import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { MeshError } from '@foremesh/node-runtime/contract';
import type { Found } from '../search/fuzz.ts';
import type { Mutant } from './mutant.ts';

export interface Hunted {
  readonly mutant: string;
  /** Undefined: missed. */
  readonly found: Found | undefined;
  readonly seeds: number;
}

export interface HuntOptions {
  readonly fromSeed: number;
  readonly seeds: number;
  /** A mutant that makes a run endless counts as found. */
  readonly msMost: number;
}

/** Runs seeds on a core that has one bug more, in a thread of its own, until one shows it. */
export async function hunt(mutant: Mutant, { fromSeed, seeds, msMost }: HuntOptions): Promise<Hunted> {
  const directory = await mkdtemp(join(tmpdir(), 'foremesh-mutant-'));
  try {
    const file = join(directory, 'hunt.mjs');
    await bundle(mutant, file);
    return await runIn(file, mutant, { fromSeed, seeds, msMost });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The whole simulator in one file, its core changed at load time. Needs a source tree: what is installed has no sources. */
async function bundle(mutant: Mutant, outfile: string): Promise<void> {
  const { build } = await import('esbuild');
  const entry = sourceOf('simulations/mutants/hunt-worker.ts');
  let applied = 0;
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    conditions: ['mesh-source'],
    logLevel: 'silent',
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    plugins: [
      {
        name: 'mutant',
        setup(setup) {
          setup.onLoad({ filter: /[\\/]node-runtime[\\/]core[\\/].*\.ts$/ }, async ({ path }) => {
            if (!path.replaceAll('\\', '/').endsWith(`node-runtime/core/${mutant.file}`)) return undefined;
            applied += 1;
            return { contents: mutate(await readFile(path, 'utf8'), mutant), loader: 'ts' };
          });
        },
      },
    ],
  });
  if (applied !== 1) throw new MeshError('MESH_USAGE', `the mutant "${mutant.name}" was not applied`);
}

/** Throws unless what is to be replaced stands there exactly once; where the formatter breaks lines does not matter. */
export function mutate(source: string, { name, file, find, replace }: Mutant): string {
  const words = find.trim().split(/\s+/);
  const pattern = words.map((word) => word.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('\\s+');
  const parts = source.split(new RegExp(pattern));
  if (parts.length === 2) return parts.join(replace);
  throw new MeshError('MESH_USAGE', `mutant "${name}": ${parts.length - 1} places in ${file} are \`${find}\`, not one`);
}

/** A file of the source tree, whether this runs from source or compiled. */
function sourceOf(path: string): string {
  const here = fileURLToPath(new URL('.', import.meta.url)).replaceAll('\\', '/');
  return `${here.slice(0, here.lastIndexOf('/simulations/'))}/${path}`;
}

function runIn(
  file: string,
  { name, in: simulation }: Mutant,
  { fromSeed, seeds, msMost }: HuntOptions,
): Promise<Hunted> {
  const worker = new Worker(file, { workerData: { fromSeed, seeds, simulation }, execArgv: [] });
  return new Promise<Hunted>((resolve, reject) => {
    const settle = (done: number, found: Found | undefined) => resolve({ mutant: name, found, seeds: done });
    const timer = setTimeout(() => {
      void worker.terminate();
      settle(0, { seed: fromSeed, checker: 'time', message: `no answer within ${msMost} ms` });
    }, msMost);
    worker.once('message', ({ seeds: done, found }: { seeds: number; found: readonly Found[] }) => {
      clearTimeout(timer);
      settle(done, found[0]);
    });
    worker.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
  });
}
