// Runs before `npm start` and `npm test`: a fresh clone needs nothing but Node and npm. No dependencies.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const nodeLeast = [20, 19];

function checkNode() {
  const found = process.versions.node.split('.').map(Number);
  const enough = found[0] > nodeLeast[0] || (found[0] === nodeLeast[0] && found[1] >= nodeLeast[1]);
  if (enough) return;
  fail(`Foremesh needs Node ${nodeLeast.join('.')} or newer, this is ${process.versions.node}: see https://nodejs.org`);
}

/** Why what is installed differs from what package-lock.json says; `undefined` when it does not. */
function installedDiffers() {
  const hidden = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(hidden)) return 'nothing is installed yet';
  const wanted = readPackages(join(root, 'package-lock.json'));
  const installed = readPackages(hidden);
  for (const [path, { version, integrity, optional, link }] of Object.entries(wanted)) {
    if (!path.includes('node_modules/')) continue;
    const found = installed[path];
    // What is optional may be for another platform.
    if (found === undefined && optional) continue;
    if (found === undefined || !existsSync(join(root, path))) return `${path} is missing`;
    if (!link && (found.version !== version || found.integrity !== integrity)) return `${path} is not at ${version}`;
  }
  return undefined;
}

function readPackages(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages;
  } catch {
    return {};
  }
}

function run(file, args) {
  const { status, error } = spawnSync(file, args, { cwd: root, stdio: 'inherit' });
  if (error) fail(`${file}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

checkNode();
const why = installedDiffers();
if (why !== undefined) {
  process.stderr.write(`Installing dependencies (${why})\n`);
  const args = [
    'ci',
    '--include=dev',
    '--include=optional',
    '--no-audit',
    '--no-fund',
    '--no-update-notifier',
    '--loglevel=error',
  ];
  const npm = process.env.npm_execpath;
  if (npm?.endsWith('.js')) run(process.execPath, [npm, ...args]);
  else run('npm', args);
}
// All write only what has changed.
run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-b']);
run(process.execPath, [join(root, 'node-runtime/build-bundle.mjs'), '--quiet']);
run(process.execPath, [join(root, 'node-runtime/build-browser.mjs'), '--quiet']);
