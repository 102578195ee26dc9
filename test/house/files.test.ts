import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { isNamed, listFiles, type Node, parse, read, root, walk, where } from './support/sources.ts';

const linesMost = 450;
const testWords = ['describe', 'context', 'it', 'specify', 'suite', 'test'];
const switchedOff = ['xdescribe', 'xcontext', 'xit', 'xspecify'];
const skipHelper = 'test/support/skip.ts';

describe('house: files', () => {
  it(`have at most ${linesMost} lines`, () => {
    const sources = listFiles().filter((path) => /\.(ts|tsx|c)$/.test(path));
    const long = sources.map((path) => ({ path, lines: read(path).split('\n').length - 1 }));
    assert.deepEqual(
      long.filter(({ lines }) => lines > linesMost),
      [],
    );
  });

  it('are all in use', function () {
    this.timeout(60_000);
    const knip = join(root, 'node_modules/knip/bin/knip.js');
    const args = [knip, '--include', 'files', '--no-progress', '--no-config-hints'];
    const { status, stdout } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
    assert.equal(status, 0, stdout);
  });

  it('of tests single none out, and skip only with a reason', () => {
    const tests = listFiles('test').filter((path) => path.endsWith('.ts') && path !== skipHelper);
    const found = tests.flatMap((path) => {
      const source = parse(path);
      const wrong: string[] = [];
      walk(source.program, (node) => {
        if (isSkipOrOnly(node)) wrong.push(`${where(source, node)} use skip() of ${skipHelper}, and never only`);
      });
      return wrong;
    });
    assert.deepEqual(found, []);
  });
});

function isSkipOrOnly(node: Node): boolean {
  if (node.type === 'CallExpression') return isNamed(node.callee, ...switchedOff);
  if (node.type !== 'MemberExpression') return false;
  if (!isNamed(node.property, 'skip', 'only')) return false;
  const object = node.object as Node;
  return object.type === 'ThisExpression' || isNamed(object, ...testWords);
}
