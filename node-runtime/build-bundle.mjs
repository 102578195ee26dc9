// Bundles what a device installs into `bundle/`: a package without dependencies, native code or install scripts.
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { build } from 'esbuild';
import { bundleSettings } from './bundle-settings.mjs';

const here = import.meta.dirname;
const root = dirname(here);
const outdir = join(here, 'bundle');
const quiet = process.argv.includes('--quiet');
const sizeMiBMost = 20;

const entries = {
  foremesh: 'cli/main.ts',
  sandbox: 'engines/sandbox-main.ts',
  'node-task': 'engines/node/node-main.ts',
  'describe-machine': 'shell/describe-machine-main.ts',
  'train-model': 'shell/foresight/train-main.ts',
};

const present = Object.entries(entries).filter(([, path]) => existsSync(join(here, path)));
const result = await build({
  ...bundleSettings,
  entryPoints: Object.fromEntries(present.map(([name, path]) => [name, join(here, path)])),
  absWorkingDir: root,
  outdir,
  metafile: true,
  write: false,
});

const inputs = Object.keys(result.metafile.inputs);
refuse(inputs, (path) => path.endsWith('.node') || path.includes('cbor-extract'), 'native code');
refuse(inputs, (path) => path.startsWith('broker/') || path.includes('/author/'), 'what a device does not need');
refuse(inputs, (path) => path.includes('@tensorflow/'), 'TensorFlow.js');

const files = new Map(result.outputFiles.map(({ path, contents }) => [relative(outdir, path), contents]));
const main = files.get('foremesh.mjs');
if (main !== undefined) files.set('foremesh.mjs', Buffer.concat([Buffer.from('#!/usr/bin/env node\n'), main]));
const quickjs = '@jitl/quickjs-wasmfile-release-sync/dist/emscripten-module.wasm';
files.set('quickjs.wasm', await readFile(join(root, 'node_modules', quickjs)));
// What `foremesh new` puts beside a job file.
files.set('job.schema.json', await readFile(join(here, 'job.schema.json')));
files.set('package.json', await manifest());
files.set('LICENSE', await readFile(join(root, 'LICENSE')));
files.set('THIRD-PARTY-LICENSES.txt', await thirdPartyLicenses(inputs));
files.set('README.md', readme());
await writeAll(files);

const sizeMiB = [...files.values()].reduce((sum, bytes) => sum + bytes.length, 0) / 1024 ** 2;
if (sizeMiB >= sizeMiBMost) throw new Error(`the device bundle is ${sizeMiB.toFixed(1)} MiB`);
if (!quiet) process.stdout.write(`node-runtime/bundle: ${files.size} files, ${sizeMiB.toFixed(2)} MiB\n`);

function refuse(paths, test, what) {
  const found = paths.filter(test);
  if (found.length > 0) throw new Error(`the device bundle holds ${what}: ${found.join(', ')}`);
}

async function manifest() {
  const { version, license, engines, description } = JSON.parse(await readFile(join(here, 'package.json'), 'utf8'));
  const content = {
    name: '@foremesh/node',
    version,
    description,
    license,
    type: 'module',
    bin: { foremesh: 'foremesh.mjs' },
    engines,
  };
  return Buffer.from(`${JSON.stringify(content, null, 2)}\n`);
}

function readme() {
  return Buffer.from(`# @foremesh/node

The Foremesh runtime as a device installs it: one command, \`foremesh\`, without dependencies, native code or install
scripts. It needs Node ${'>='} 20.19.

    npm install --global @foremesh/node
    foremesh --help
`);
}

/** The licences of what is inside, as most of them ask for. */
async function thirdPartyLicenses(paths) {
  const folders = new Set();
  for (const path of paths) {
    const found = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path);
    if (found !== null) folders.add(found[1]);
  }
  const texts = [];
  for (const folder of [...folders].sort()) {
    const { name, version, license } = JSON.parse(await readFile(join(root, folder, 'package.json'), 'utf8'));
    const file = (await readdir(join(root, folder))).find((candidate) => /^licen[cs]e/i.test(candidate));
    const text = file === undefined ? '' : `\n${(await readFile(join(root, folder, file), 'utf8')).trim()}\n`;
    texts.push(`${name} ${version} (${license})\n${text}`);
  }
  return Buffer.from(texts.join(`\n${'-'.repeat(80)}\n\n`));
}

/** Entries last, and only what has changed: a `foremesh` that starts meanwhile finds its files. */
async function writeAll(contents) {
  await mkdir(outdir, { recursive: true });
  const isEntry = (name) => name.replace('.mjs', '') in entries;
  const names = [...contents.keys()].sort((a, b) => Number(isEntry(a)) - Number(isEntry(b)));
  for (const name of names) {
    const path = join(outdir, name);
    const bytes = Buffer.from(contents.get(name));
    const before = await readFile(path).catch(() => undefined);
    if (before?.equals(bytes) !== true) await writeFile(path, bytes);
  }
  for (const name of await readdir(outdir)) {
    if (!contents.has(name)) await rm(join(outdir, name), { recursive: true });
  }
  if (contents.has('foremesh.mjs')) await chmod(join(outdir, 'foremesh.mjs'), 0o755);
}
