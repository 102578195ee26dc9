/** CommonJS inside the bundle asks for Node's modules by `require`, and where it lies. */
const banner =
  "import { createRequire as foremeshRequire } from 'node:module'; const require = foremeshRequire(import.meta.url); const __dirname = import.meta.dirname;";

/**
 * How esbuild makes what a device installs.
 *
 * @type {import('esbuild').BuildOptions}
 */
export const bundleSettings = {
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  conditions: ['mesh-source'],
  outExtension: { '.js': '.mjs' },
  // Brings TensorFlow.js: looked for at run time, by a leader that wants it.
  external: ['@foremesh/models/lstm'],
  // Beside the entries: code that looks for a file next to itself finds it wherever it landed.
  chunkNames: '[name]-[hash]',
  banner: { js: banner },
  // Names stay readable in stacks.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  logLevel: 'warning',
};
