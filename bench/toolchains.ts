// Toolchains: what `foremesh new` gives for each language that compiles to WebAssembly, built by its own steps and run on a mesh.
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatConnection } from '@foremesh/node-runtime/contract';
import { MeshUnderTest } from './spine/mesh.ts';
import { round } from './spine/statistics.ts';
import { launcher, run, type Toolchain, toolchains } from './toolchains/toolchains.ts';

const json = process.argv.includes('--json');
/** The words of the input that every template brings along. */
const expected = '16';

const report: Record<string, number | string> = {};
const directory = await mkdtemp(join(tmpdir(), 'foremesh-toolchains-'));
const mesh = await MeshUnderTest.start({ directory, deviceCommand: launcher });
const environment = { FOREMESH_CONNECTION: formatConnection(mesh.client.connection) };
try {
  for (const toolchain of toolchains) {
    const missing = await toolchain.missing();
    if (missing === undefined) await tell(toolchain);
    else process.stderr.write(`${toolchain.name}: not here: ${missing}\n`);
    if (missing !== undefined) report[`toolchains.${toolchain.name}.missing`] = missing;
  }
} finally {
  await mesh.end();
  await rm(directory, { recursive: true });
}

async function tell({ name, template, files = {}, build }: Toolchain): Promise<void> {
  const folder = join(directory, name);
  const foremesh = (at: string, ...words: string[]) => run(at, process.execPath, [launcher, ...words], environment);
  await foremesh(directory, 'new', name, '--lang', template);
  for (const [file, content] of Object.entries(files)) {
    await mkdir(join(folder, file, '..'), { recursive: true });
    await writeFile(join(folder, file), content);
  }
  const beganMs = performance.now();
  for (const [command, ...words] of await build()) await run(folder, command!, words);
  report[`toolchains.${name}.buildMs`] = round(performance.now() - beganMs, 0);
  report[`toolchains.${name}.moduleBytes`] = (await stat(join(folder, 'task.wasm'))).size;
  const counted = (await foremesh(folder, 'run')).trim();
  if (counted !== expected) throw new Error(`${name} counted ${counted} words, not ${expected}`);
  report[`toolchains.${name}.words`] = Number(counted);
  process.stderr.write(`${name}: ${counted} words\n`);
}

if (json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
else for (const [key, value] of Object.entries(report)) process.stdout.write(`${key.padEnd(40)} ${value}\n`);
