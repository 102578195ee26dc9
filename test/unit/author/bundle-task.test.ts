import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bundleTask } from '@foremesh/author';
import { limits, type MeshError } from '@foremesh/node-runtime/contract';

describe('author: bundleTask', () => {
  let folder: string;

  before(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'foremesh-author-')));
    await write('node_modules/lib-esm/package.json', '{"name":"lib-esm","type":"module","exports":"./index.js"}');
    await write(
      'node_modules/lib-esm/index.js',
      'export const twice = (n) => n * 2;\nexport const unused = "not in the bundle";\n',
    );
    await write('node_modules/lib-cjs/package.json', '{"name":"lib-cjs","main":"./lib.js"}');
    await write('node_modules/lib-cjs/lib.js', 'module.exports = { plus: (a, b) => a + b };\n');
    await write('node_modules/lib-node/package.json', '{"name":"lib-node","main":"./lib.js"}');
    await write('node_modules/lib-node/lib.js', 'module.exports = require("net");\n');
  });
  after(() => rm(folder, { recursive: true }));

  async function write(name: string, text: string): Promise<string> {
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    return path;
  }
  const bundle = async (name: string, text: string) => {
    const { code, warnings } = await bundleTask(await write(name, text));
    return { code: Buffer.from(code).toString(), warnings };
  };
  const refusal = async (name: string, text: string): Promise<MeshError> => {
    try {
      await bundle(name, text);
    } catch (error) {
      return error as MeshError;
    }
    throw new Error('it was bundled');
  };

  it('makes one module without imports of TypeScript, files and packages', async () => {
    await write(
      'src/scale.ts',
      'export enum Unit { Metre = 3 }\nexport const scale = (n: number): number => n * Unit.Metre;\n',
    );
    const { code, warnings } = await bundle(
      'src/task.ts',
      `import type { Task } from '@foremesh/node-runtime/task';
import { twice } from 'lib-esm';
import { plus } from 'lib-cjs';
import { scale } from './scale.ts';
export default async function (task: Task<{ by: number }>): Promise<number> {
  return plus(twice(task.parameters.by), scale(1));
}
`,
    );
    assert.deepEqual(warnings, []);
    assert.doesNotMatch(code, /^import /m);
    assert.doesNotMatch(code, /not in the bundle|sourceMappingURL/);
    const file = await write('out.mjs', code);
    const module = (await import(pathToFileURL(file).href)) as { default: (task: object) => Promise<number> };
    assert.equal(await module.default({ parameters: { by: 5 } }), 13);
  });

  it('needs no `type` before the types of a task', async () => {
    const source = `import { Task } from '@foremesh/node-runtime/task';\nexport default (task: Task) => task.input.length;\n`;
    await write('strict/tsconfig.json', '{"compilerOptions":{"verbatimModuleSyntax":true}}');
    assert.doesNotMatch((await bundle('strict/task.ts', source)).code, /^import /m);
  });

  it('gives the same bytes for the same files, wherever they lie and whoever asks', async () => {
    const source = `import { plus } from 'lib-cjs';\nimport { twice } from 'lib-esm';\nexport default () => plus(twice(1), 2);\n`;
    const { code } = await bundle('same/task.ts', source);
    assert.equal((await bundle('same/task.ts', source)).code, code);
    const copy = await realpath(await mkdtemp(join(tmpdir(), 'foremesh-elsewhere-')));
    const before = process.cwd();
    try {
      await cp(folder, copy, { recursive: true });
      process.chdir(copy);
      const moved = await bundleTask('same/task.ts');
      assert.equal(Buffer.from(moved.code).toString(), code);
    } finally {
      process.chdir(before);
      await rm(copy, { recursive: true });
    }
    assert.ok(!code.includes(folder) && !code.includes(tmpdir()), 'no path of this machine');
  });

  it('refuses modules of Node.js with file, line and column, however they are imported', async () => {
    const direct = await refusal('fs.ts', `// a task\nimport { readFile } from 'node:fs';\nexport default readFile;\n`);
    assert.equal(direct.code, 'MESH_TASK_CODE_INVALID');
    assert.match(direct.where!, /fs\.ts:2:26$/);
    assert.match(direct.message, /^"node:fs" is a module of Node\.js/);
    assert.match(direct.mend!, /task\.input/);
    assert.match((await refusal('bare.ts', `import 'fs/promises';\nexport default 1;\n`)).where!, /bare\.ts:1:8$/);
    const inside = await refusal('inside.ts', `import net from 'lib-node';\nexport default net;\n`);
    assert.match(inside.where!, /node_modules\/lib-node\/lib\.js:1:26$/);
    assert.match(
      (await refusal('dynamic.ts', `export default () => import('node:os');\n`)).where!,
      /dynamic\.ts:1:29$/,
    );
  });

  it('refuses what is not there, or lies on the network', async () => {
    const missing = await refusal('missing.ts', `import x from 'left-pad';\nexport default x;\n`);
    assert.equal(missing.message, 'the package "left-pad" is not installed');
    assert.equal(missing.mend, 'npm install left-pad');
    const local = await refusal(
      'local.ts',
      `import x from './nope.ts';\nimport y from '@a/b/c';\nexport default x + y;\n`,
    );
    assert.equal(local.message, 'there is no file "./nope.ts" (and 1 more)');
    const address = await refusal('address.ts', `import x from 'https://esm.sh/x';\nexport default x;\n`);
    assert.match(address.where!, /address\.ts:1:15$/);
    assert.match(address.mend!, /install it as a package/);
    await assert.rejects(bundleTask(join(folder, 'none.ts')), {
      code: 'MESH_TASK_CODE_INVALID',
      message: 'there is no such file',
    });
  });

  it('says where the syntax breaks off, in characters and not in bytes', async () => {
    const { where, message } = await refusal('syntax.ts', `const é = 'ü', x = = 1;\nexport default x;\n`);
    assert.match(where!, /syntax\.ts:1:20$/);
    assert.match(message, /Unexpected "="/);
  });

  it('asks for a default export', async () => {
    const { code, where, mend } = await refusal('named.ts', 'export const task = 1;\n');
    assert.equal(code, 'MESH_TASK_CODE_INVALID');
    assert.match(where!, /named\.ts:1:1$/);
    assert.match(mend!, /export default function/);
    assert.match((await bundle('common.cjs', 'module.exports = () => 1;\n')).code, /export default/);
  });

  it('passes warnings on with their place, and keeps the limit', async () => {
    const { warnings } = await bundle('warn.ts', 'export default (x: number) => x === NaN;\n');
    assert.match(warnings[0]!.where!, /warn\.ts:1:33$/);
    await assert.rejects(bundle('huge.ts', `export default '${'x'.repeat(limits.codeBytes)}';\n`), {
      code: 'MESH_LIMIT_EXCEEDED',
    });
  });
});
