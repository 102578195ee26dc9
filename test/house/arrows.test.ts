import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { importsOf, listFiles, read, relativeToRoot, root } from './support/sources.ts';

interface Arrows {
  /** Folders or files that may be imported. */
  readonly may: readonly string[];
  /** Only their types: they reach the folder by injection. */
  readonly mayTypes?: readonly string[];
}

const runtime = 'node-runtime';
const contract = `${runtime}/contract`;
const core = `${runtime}/core`;
const wire = `${runtime}/wire`;
const data = `${runtime}/data`;
const engines = `${runtime}/engines`;
const shell = `${runtime}/shell`;
const sdk = `${runtime}/sdk`;

/** Which folder may import which other; within itself each may. The table of docs/architecture.md. */
const arrows: Readonly<Record<string, Arrows>> = {
  models: { may: [] },
  partitioner: { may: [] },
  [contract]: { may: [] },
  [core]: { may: [contract], mayTypes: ['partitioner', 'models'] },
  [wire]: { may: [contract, core] },
  [data]: { may: [contract, 'partitioner'] },
  [engines]: { may: [contract, 'partitioner'] },
  [shell]: { may: [contract, core, wire, data, engines, 'models', 'partitioner'] },
  [sdk]: { may: [contract, data, `${shell}/mqtt-transport.ts`, `${shell}/mqtt-session.ts`] },
  [`${runtime}/cli`]: {
    may: [contract, core, data, engines, shell, sdk, 'models', 'partitioner'],
    // Found at run time, if it is installed.
    mayTypes: [`${runtime}/author`],
  },
  [`${runtime}/author`]: { may: [contract] },
  broker: { may: [contract, data] },
  'firmware-bridge': { may: [contract] },
  simulations: { may: [contract, core, wire, 'models', 'partitioner'] },
  // Tasks see the task's types alone; a demo shows a job with the eyes of the command line.
  examples: { may: [`${engines}/task-api.ts`, sdk, `${runtime}/cli`, `${runtime}/author`] },
};

const code = /\.(ts|tsx|mts|mjs|js)$/;

describe('house: import arrows', () => {
  const files = Object.keys(arrows).flatMap((folder) => listFiles(folder).filter((path) => code.test(path)));

  it('has a rule for every folder that holds code', () => {
    const ruled = [
      ...Object.keys(arrows),
      'test',
      'bench',
      '.ci',
      `${runtime}/bin`,
      `${runtime}/build-bundle.mjs`,
      `${runtime}/bundle-settings.mjs`,
      `${runtime}/build-browser.mjs`,
    ];
    const wild = listFiles().filter((path) => code.test(path) && !ruled.some((folder) => isWithin(path, folder)));
    assert.deepEqual(wild, []);
  });

  it('lets each folder import only what its rule allows', () => {
    const wrong: string[] = [];
    for (const file of files) {
      const from = folderOf(file);
      const { may, mayTypes = [] } = arrows[from]!;
      for (const { specifier, typeOnly, where } of importsOf(file)) {
        const target = specifier === undefined ? undefined : resolveOurs(file, specifier);
        if (target === undefined || isWithin(target, from)) continue;
        const allowed = typeOnly ? [...may, ...mayTypes] : may;
        if (!allowed.some((folder) => isWithin(target, folder))) wrong.push(`${where} imports ${specifier}`);
      }
    }
    assert.deepEqual(wrong, []);
  });

  it('computes the name of a module only where commands of other packages are found, and where a task begins', () => {
    const computed = files.filter((file) => importsOf(file).some(({ specifier }) => specifier === undefined));
    assert.deepEqual(
      computed.filter((file) => !isWithin(file, `${runtime}/cli`)),
      [`${runtime}/engines/node/node-main.ts`],
    );
  });
});

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

function folderOf(file: string): string {
  return Object.keys(arrows).find((folder) => isWithin(file, folder))!;
}

/** The path of the imported file, `undefined` when it is not ours. */
function resolveOurs(file: string, specifier: string): string | undefined {
  if (specifier.startsWith('.')) return relativeToRoot(join(root, dirname(file), specifier));
  const [, name, subpath = ''] = /^@foremesh\/([^/]+)(\/.*)?$/.exec(specifier) ?? [];
  if (name === undefined) return undefined;
  const folder = name === 'author' ? `${runtime}/author` : name;
  const { exports } = JSON.parse(read(`${folder}/package.json`)) as { exports: Record<string, Record<string, string>> };
  const entry = exports[`.${subpath}`]?.['mesh-source'];
  assert.ok(entry, `${file} imports ${specifier}, which ${folder}/package.json does not export`);
  return join(folder, entry).replaceAll('\\', '/');
}
