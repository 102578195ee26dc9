// `npm run -s bench -- NAME [--json]` runs bench/NAME.ts; without a name it lists what there is.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -'.ts'.length));
const [name, ...rest] = process.argv.slice(2);

if (name === undefined || !names.includes(name)) {
  const found = names.length === 0 ? 'there is none yet' : names.join(', ');
  process.stderr.write(`usage: npm run -s bench -- NAME [--json]\nbenches: ${found}\n`);
  process.exit(2);
}

const file = join(import.meta.dirname, `${name}.ts`);
const options = ['--conditions=mesh-source', '--import=tsx'];
const { status } = spawnSync(process.execPath, [...options, file, ...rest], { stdio: 'inherit' });
process.exit(status ?? 1);
