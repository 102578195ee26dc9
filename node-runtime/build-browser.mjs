// Bundles the SDK for pages into `dist/browser/sdk.js`: one ES module, without anything of Node.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const here = import.meta.dirname;
const outfile = join(here, 'dist/browser/sdk.js');
/** A page on a slow line waits for it. */
const gzippedKiBMost = 200;

const { outputFiles, metafile } = await build({
  entryPoints: [join(here, 'sdk/index.ts')],
  absWorkingDir: dirname(here),
  outfile,
  bundle: true,
  format: 'esm',
  // Takes the files of `browser` in package.json, and whatever else packages have for pages.
  platform: 'browser',
  target: ['es2022'],
  conditions: ['mesh-source'],
  minify: true,
  legalComments: 'none',
  charset: 'utf8',
  metafile: true,
  write: false,
  logLevel: 'warning',
});

const nodeOnly = Object.keys(metafile.inputs).filter((path) =>
  /\/(sdk|data)\/(host|local-files|files)\.ts$/.test(path),
);
const imported = Object.values(metafile.outputs).flatMap(({ imports }) => imports.map(({ path }) => path));
if (nodeOnly.length + imported.length > 0) {
  throw new Error(`the SDK for pages needs what pages do not have: ${[...nodeOnly, ...imported].join(', ')}`);
}
const bytes = Buffer.from(outputFiles[0].contents);
const gzippedKiB = gzipSync(bytes).length / 1024;
if (gzippedKiB > gzippedKiBMost) throw new Error(`the SDK for pages has ${gzippedKiB.toFixed(0)} KiB, gzipped`);
const before = await readFile(outfile).catch(() => undefined);
if (before?.equals(bytes) !== true) {
  await mkdir(dirname(outfile), { recursive: true });
  await writeFile(outfile, bytes);
}
if (!process.argv.includes('--quiet')) {
  process.stdout.write(
    `node-runtime/dist/browser/sdk.js: ${(bytes.length / 1024).toFixed(0)} KiB, ${gzippedKiB.toFixed(0)} KiB gzipped\n`,
  );
}
