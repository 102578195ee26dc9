import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accountsPath, createAccount } from '../../../broker/account-file.ts';
import { Accounts } from '../../../broker/accounts.ts';
import { brokerLimits } from '../../../broker/limits.ts';

describe('broker accounts', () => {
  let home: string;

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'foremesh-accounts-'));
  });
  afterEach(() => rm(home, { recursive: true, force: true }));

  const opened = async (limits = brokerLimits as typeof brokerLimits & Record<string, number>) => {
    const accounts = new Accounts(home, limits);
    await accounts.refresh();
    return accounts;
  };

  it('makes a strong password, and keeps neither that one nor a chosen one in the file', async () => {
    const drawn = await createAccount(home, 'drawn');
    await createAccount(home, 'chosen', 'swordfish-and-chips');
    assert.match(drawn.password, /^[\w-]{32}$/);
    const text = await readFile(accountsPath(home), 'utf8');
    assert.ok(!text.includes(drawn.password) && !text.includes('swordfish'));
    assert.equal((await stat(accountsPath(home))).mode & 0o777, 0o600);
    const accounts = await opened();
    assert.equal(await accounts.verify('drawn', drawn.password), 'right');
    assert.equal(await accounts.verify('drawn', drawn.password), 'right');
    assert.equal(await accounts.verify('chosen', 'swordfish-and-chips'), 'right');
    assert.equal(await accounts.verify('chosen', 'swordfish-and-chipz'), 'wrong');
    assert.equal(await accounts.verify('chosen', drawn.password), 'wrong');
    assert.equal(await accounts.verify('constructor', 'swordfish-and-chips'), 'wrong');
    assert.equal(await accounts.verify('__proto__', 'x'), 'wrong');
  });

  it('replaces a password: the old one no longer holds, though it was remembered', async () => {
    await createAccount(home, 'a', 'first password');
    const accounts = await opened();
    assert.equal(await accounts.verify('a', 'first password'), 'right');
    assert.equal(await accounts.verify('a', 'second password'), 'wrong');
    const before = accounts.version('a');
    await createAccount(home, 'a', 'second password');
    assert.equal(await accounts.refresh(), true);
    assert.equal(await accounts.refresh(), false);
    assert.notEqual(accounts.version('a'), before);
    assert.equal(await accounts.verify('a', 'first password'), 'wrong');
    assert.equal(await accounts.verify('a', 'second password'), 'right');
  });

  it('loses no account when several are made at once', async () => {
    await Promise.all(Array.from({ length: 8 }, (_, n) => createAccount(home, `account-${n}`)));
    assert.equal((await opened()).size, 8);
  });

  it('checks a password once, however many come with it at once', async () => {
    await createAccount(home, 'fleet', 'swordfish-and-chips');
    // With room for one check and none waiting, a second check would be refused as busy.
    const accounts = await opened({ ...brokerLimits, passwordChecks: 1, passwordChecksWaiting: 0 } as never);
    const verdicts = await Promise.all(
      Array.from({ length: 500 }, () => accounts.verify('fleet', 'swordfish-and-chips')),
    );
    assert.deepEqual(new Set(verdicts), new Set(['right']));
    const others = await Promise.all([accounts.verify('fleet', 'wrong 1'), accounts.verify('fleet', 'wrong 2')]);
    assert.deepEqual(others, ['wrong', 'busy']);
    assert.equal(await accounts.verify('fleet', 'wrong 2'), 'wrong');
  });

  it('refuses names that are no identifiers and passwords that are too short', async () => {
    await assert.rejects(createAccount(home, 'a b'), { code: 'MESH_TOPIC_INVALID' });
    await assert.rejects(createAccount(home, 'a', 'short'), { code: 'MESH_CONFIG_INVALID' });
    await assert.rejects(createAccount(home, 'a', 'x'.repeat(300)), { code: 'MESH_CONFIG_INVALID' });
  });

  it('does not write over a damaged file', async () => {
    await writeFile(accountsPath(home), '{"v":1,');
    await assert.rejects(createAccount(home, 'a'), { code: 'MESH_CONFIG_INVALID', where: accountsPath(home) });
    assert.equal(await readFile(accountsPath(home), 'utf8'), '{"v":1,');
    await createAccount(join(home, 'deeper', 'still'), 'a');
  });
});
