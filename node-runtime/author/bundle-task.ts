import { basename, dirname, resolve } from 'node:path';
import { checkLimit, limits, MeshError } from '@foremesh/node-runtime/contract';
import { type BuildFailure, type BuildOptions, type BuildResult, build, type StdinOptions } from 'esbuild';
import { explainFailure, whereOf } from './build-errors.ts';
import { sandboxRules } from './sandbox-rules.ts';

export interface BundleWarning {
  readonly message: string;
  /** file:line:column */
  readonly where?: string;
}

export interface BundledTask {
  /** One ES module without imports, UTF-8. */
  readonly code: Uint8Array;
  readonly warnings: readonly BundleWarning[];
}

/**
 * Bundles TypeScript or JavaScript and all that it imports into one ES module for QuickJS, or for Node.js. The same files give the same
 * bytes, wherever they lie, so that the code's hash names it. Throws `MESH_TASK_CODE_INVALID` with file, line and column, or
 * `MESH_LIMIT_EXCEEDED`.
 */
export async function bundleTask(entryFile: string, engine: 'js' | 'node' = 'js'): Promise<BundledTask> {
  return bundle(resolve(entryFile), engine);
}

/** The same for a module that is in no file: `entry` is the file that it stands for, and resolves imports from the folder of. */
export async function bundleModule({
  contents,
  entry,
  engine,
}: {
  contents: string;
  entry: string;
  engine: 'js' | 'node';
}): Promise<BundledTask> {
  // No path: the same text gives the same bytes, wherever it is bundled. And not the name of `entry`, which may be imported.
  return bundle(entry, engine, {
    contents,
    resolveDir: dirname(entry),
    loader: 'js',
    sourcefile: `stage of ${basename(entry)}`,
  });
}

async function bundle(entry: string, engine: 'js' | 'node', stdin?: StdinOptions): Promise<BundledTask> {
  const folder = dirname(entry);
  const result = await runBuild(entry, folder, engine, stdin === undefined ? { entryPoints: [entry] } : { stdin });
  const [file] = result.outputFiles;
  const [output] = Object.values(result.metafile.outputs);
  if (output?.exports.includes('default') !== true) {
    throw new MeshError('MESH_TASK_CODE_INVALID', 'there is no default export', {
      where: whereOf({ file: basename(entry), line: 1, column: 0 }, folder),
      mend: 'a task is a function: export default function (task) { ... }',
    });
  }
  checkLimit('codeBytes', file!.contents.length, limits.codeBytes, whereOf(undefined, folder, entry));
  return {
    code: file!.contents,
    warnings: result.warnings.map(({ text, location }) => ({
      message: text,
      ...(location === null ? {} : { where: whereOf(location, folder) }),
    })),
  };
}

/** Node.js is there: what it brings stays an import, and CommonJS inside the bundle asks for it by `require`. */
const forNode: BuildOptions = {
  platform: 'node',
  target: 'node20.19',
  conditions: ['node', 'module', 'import'],
  banner: {
    js: "import { createRequire as foremeshRequire } from 'node:module'; const require = foremeshRequire(import.meta.url);",
  },
};

type InMemory = BuildResult<{ write: false; metafile: true }>;

async function runBuild(
  entry: string,
  folder: string,
  engine: 'js' | 'node',
  what: Pick<BuildOptions, 'stdin' | 'entryPoints'>,
): Promise<InMemory> {
  try {
    return await build({
      ...what,
      bundle: true,
      write: false,
      metafile: true,
      logLevel: 'silent',
      // Comments and CommonJS wrappers name files from here: the entry's folder, not the machine's root.
      absWorkingDir: folder,
      outfile: resolve(folder, 'task.bundle.mjs'),
      format: 'esm',
      platform: 'neutral',
      target: 'es2023',
      // What `neutral` leaves out: packages that have no `exports`.
      mainFields: ['module', 'main'],
      conditions: ['module', 'import'],
      sourcemap: false,
      charset: 'utf8',
      treeShaking: true,
      // Libraries that look where they are: no development checks, and `global` is there.
      define: { 'process.env.NODE_ENV': '"production"', global: 'globalThis' },
      plugins: [sandboxRules],
      ...(engine === 'node' ? forNode : {}),
    });
  } catch (error) {
    if (!Array.isArray((error as BuildFailure).errors)) throw error;
    throw explainFailure(error as BuildFailure, entry, folder);
  }
}
