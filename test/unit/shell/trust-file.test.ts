import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { type Home, openHome } from '../../../node-runtime/shell/home.ts';
import { readTrust, writeTrust } from '../../../node-runtime/shell/trust-file.ts';
import { endAll, meshError, scratch } from './scratch.ts';

const mesh = `${'m'.repeat(42)}A`;
const leader = { node: 'ada', publicKey: mesh };
const link = { index: 7, term: 2, voters: [leader], outgoing: [leader], signer: mesh, signature: 'A'.repeat(86) };

describe('whom a node obeys', () => {
  let home: Home;
  beforeEach(async () => {
    home = openHome(await scratch(), {});
  });
  afterEach(endAll);

  it('is nobody at first, and then what was written', () => {
    assert.equal(readTrust(home.trustFile, mesh), undefined);
    for (const record of [
      { term: 1, leader, links: [] },
      { term: Number.MAX_SAFE_INTEGER, leader, links: [link, { ...link, index: 8 }] },
      { term: 0, links: [link] },
    ]) {
      writeTrust(home.trustFile, mesh, record);
      assert.deepEqual(readTrust(home.trustFile, mesh), record);
    }
  });

  it('is never guessed from a damaged file', async () => {
    writeTrust(home.trustFile, mesh, { term: 12, leader, links: [link] });
    const whole = await readFile(home.trustFile, 'utf8');
    const cut = Array.from({ length: 40 }, (_, n) => whole.slice(0, Math.floor((n * (whole.length - 2)) / 40)));
    const wrong = [
      'null',
      '[]',
      '12\n',
      '\u0000\u0000',
      '{"v":1}',
      whole.replace('12', '-12'),
      whole.replace('12', '1.5'),
    ];
    for (const content of [...cut, ...wrong]) {
      await writeFile(home.trustFile, content);
      assert.throws(() => readTrust(home.trustFile, mesh), meshError('MESH_STORAGE_FAILED', home.trustFile), content);
    }
  });

  it('of another mesh says that the home is in use', () => {
    writeTrust(home.trustFile, mesh, { term: 12, leader, links: [] });
    assert.throws(() => readTrust(home.trustFile, `${'n'.repeat(42)}A`), meshError('MESH_CONFIG_INVALID', '--home'));
  });

  it('that cannot be read or written is an error', async () => {
    await mkdir(home.trustFile, { recursive: true });
    assert.throws(() => readTrust(home.trustFile, mesh), meshError('MESH_STORAGE_FAILED', home.trustFile));
    assert.throws(() => writeTrust(home.trustFile, mesh, { term: 1, links: [] }), meshError('MESH_STORAGE_FAILED'));
  });
});
