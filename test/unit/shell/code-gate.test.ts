import assert from 'node:assert/strict';
import { sign } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import {
  type Assign,
  type CodeManifest,
  keyIdOf,
  limits,
  manifestStatement,
  type TrustedKey,
} from '../../../node-runtime/contract/index.ts';
import { CodeGate } from '../../../node-runtime/shell/authors/code-gate.ts';
import { changeTrustedAuthors, readTrustedAuthors } from '../../../node-runtime/shell/authors/trusted-authors.ts';
import { type Home, openHome } from '../../../node-runtime/shell/home.ts';
import { releasedMs } from '../../../node-runtime/shell/release.ts';
import { keyPair } from './keys.ts';
import { endAll, meshError, scratch } from './scratch.ts';

const author = keyPair();
const other = keyPair();
const dayMs = 86_400_000;
const nowMs = releasedMs + 30 * dayMs;
const blob = `sha256-${'a'.repeat(64)}`;
const most = { memoryBytes: 64 * 1024 ** 2, cpuMs: 1_000, wallMs: 2_000, outputBytes: 1_000 };

function assignOf(change: Partial<CodeManifest> = {}, rest: Partial<Assign> = {}, signer = author): Assign {
  const manifest: CodeManifest = {
    v: 1,
    code: blob,
    name: 'blur',
    version: 1,
    expiresMs: nowMs + dayMs,
    capabilities: [],
    limits: most,
    key: author.publicKey,
    ...change,
  };
  const signature = sign(null, manifestStatement(manifest), signer.privateKey).toString('base64url');
  return {
    type: 'assign',
    attempt: 'owner/job/main-0#1.1',
    account: 'owner',
    job: 'job',
    stage: 'main',
    task: 'main-0',
    code: { engine: 'node', blob, sizeBytes: 10, manifest: { ...manifest, signature } },
    input: { kind: 'none' },
    limits: most,
    inlineOutputBytes: 100,
    priority: 5,
    ...rest,
  };
}

describe('code gate', () => {
  let home: Home;
  let trusts: TrustedKey[];
  let clock: { wallMs: number; isSynchronized: boolean };
  beforeEach(async () => {
    home = openHome(await scratch(), {});
    trusts = [{ key: author.publicKey, capabilities: [] }];
    clock = { wallMs: nowMs, isSynchronized: true };
  });
  afterEach(endAll);

  const open = () => CodeGate.open({ home, node: 'nas', trusts: () => trusts, clock: () => clock });
  const refused = async (gate: CodeGate, assign: Assign, code: string, text = '') =>
    assert.rejects(gate.admit(assign), meshError(code, text));

  it('lets in what an author who is trusted has signed, and says why all else stays out', async () => {
    const gate = await open();
    assert.equal((await gate.admit(assignOf())).name, 'blur');

    const { manifest: _, ...bare } = assignOf().code;
    await refused(gate, assignOf({}, { code: bare }), 'MESH_CODE_UNSIGNED', 'foremesh keys new');
    await refused(gate, assignOf({}, {}, other), 'MESH_CODE_UNSIGNED', keyIdOf(author.publicKey));
    await refused(
      gate,
      assignOf({ key: other.publicKey }, {}, other),
      'MESH_CODE_UNTRUSTED',
      `foremesh trust ${other.publicKey} --on nas`,
    );
    await refused(gate, assignOf({ capabilities: ['network'] }), 'MESH_CODE_CAPABILITY', '--network --on nas');
    await refused(gate, assignOf({ code: `sha256-${'b'.repeat(64)}` }), 'MESH_CODE_MISMATCH');
    await refused(gate, assignOf({ expiresMs: nowMs }), 'MESH_CODE_EXPIRED');
    for (const name of ['memoryBytes', 'cpuMs', 'wallMs', 'outputBytes'] as const)
      await refused(gate, assignOf({}, { limits: { ...most, [name]: most[name] + 1 } }), 'MESH_CODE_LIMITS', name);
    trusts = [{ key: author.publicKey, capabilities: ['network'] }];
    assert.deepEqual((await gate.admit(assignOf({ capabilities: ['network'] }))).capabilities, ['network']);
    trusts = [];
    await refused(gate, assignOf(), 'MESH_CODE_UNTRUSTED');
  });

  it('whatever of a manifest is changed behind its author, the signature does not hold', async () => {
    const gate = await open();
    const changes: Partial<CodeManifest>[] = [
      { name: 'sharpen' },
      { version: 2 },
      { expiresMs: nowMs + 2 * dayMs },
      { limits: { ...most, cpuMs: 2_000 } },
    ];
    for (const change of changes) {
      const assign = assignOf();
      const forged = { ...assign.code.manifest!, ...change };
      await refused(gate, { ...assign, code: { ...assign.code, manifest: forged } }, 'MESH_CODE_UNSIGNED');
    }
  });

  it('an older version never comes back, not after a restart either; another name and key has its own', async () => {
    await (await open()).admit(assignOf({ version: 3 }));
    const gate = await open();
    await refused(gate, assignOf({ version: 2 }), 'MESH_CODE_ROLLBACK', '3 or more');
    await gate.admit(assignOf({ version: 3 }));
    await gate.admit(assignOf({ version: 1, name: 'sharpen' }));
    trusts = [{ key: other.publicKey, capabilities: [] }];
    await gate.admit(assignOf({ version: 1, key: other.publicKey }, {}, other));
    // What was refused for another reason has not been accepted.
    trusts = [{ key: author.publicKey, capabilities: [] }];
    await refused(gate, assignOf({ version: 9, expiresMs: 1 }), 'MESH_CODE_EXPIRED');
    await gate.admit(assignOf({ version: 4 }));
    // At once: each is judged after the one before is on disk.
    const both = await Promise.allSettled([gate.admit(assignOf({ version: 6 })), gate.admit(assignOf({ version: 5 }))]);
    assert.deepEqual(
      both.map(({ status }) => status),
      ['fulfilled', 'rejected'],
    );
    assert.equal(JSON.parse(await readFile(home.acceptedCodeFile, 'utf8')).versions[`${author.publicKey}/blur`], 6);

    await writeFile(home.acceptedCodeFile, '{"v":1,"versions"');
    await assert.rejects(open(), meshError('MESH_CONFIG_INVALID', home.acceptedCodeFile));
  });

  it('a clock that nobody keeps right: the later of it, the release, and what a leader has said', async () => {
    clock = { wallMs: 0, isSynchronized: false };
    const gate = await open();
    await refused(gate, assignOf({ expiresMs: releasedMs - 1 }), 'MESH_CODE_EXPIRED');
    await gate.admit(assignOf({ expiresMs: releasedMs + dayMs }));
    await refused(gate, assignOf({ expiresMs: nowMs }, { leaderMs: nowMs }), 'MESH_CODE_EXPIRED');
    // A leader was heard when something passed: it stays heard, over a restart too.
    await gate.admit(assignOf({}, { leaderMs: nowMs }));
    await refused(gate, assignOf({ expiresMs: nowMs - 1 }), 'MESH_CODE_EXPIRED');
    await refused(await open(), assignOf({ expiresMs: nowMs - 1 }), 'MESH_CODE_EXPIRED');
    // One that is kept right is believed.
    clock = { wallMs: nowMs - 10 * dayMs, isSynchronized: true };
    await (await open()).admit(assignOf({ expiresMs: nowMs - dayMs }, { leaderMs: nowMs }));
  });

  it('trusted authors: kept, replaced, removed, and no more than a status can name', async () => {
    const key = (n: number) => `${'A'.repeat(40)}${String(n).padStart(2, '0')}A`;
    let held: readonly TrustedKey[] = [];
    for (let n = 0; n < limits.trustedKeysPerNode; n += 1)
      held = await changeTrustedAuthors(home, held, { add: { key: key(n), capabilities: [] } });
    await assert.rejects(
      changeTrustedAuthors(home, held, { add: { key: key(99), capabilities: [] } }),
      meshError('MESH_LIMIT_EXCEEDED', '--remove'),
    );
    held = await changeTrustedAuthors(home, held, { add: { key: key(0), capabilities: ['network'] } });
    assert.equal(held.length, limits.trustedKeysPerNode);
    assert.deepEqual(await readTrustedAuthors(home), held);
    held = await changeTrustedAuthors(home, held, { remove: key(0) });
    assert.equal(
      (await readTrustedAuthors(home)).some((each) => each.key === key(0)),
      false,
    );
    await assert.rejects(changeTrustedAuthors(home, held, { remove: key(0) }), meshError('MESH_KEY_UNKNOWN'));
  });

  it('the id of a key: its first eight bytes', () => {
    assert.equal(keyIdOf(author.publicKey), Buffer.from(author.publicKey, 'base64url').subarray(0, 8).toString('hex'));
  });
});
