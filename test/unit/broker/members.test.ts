import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Members } from '../../../broker/joining/members.ts';
import { brokerLimits } from '../../../broker/limits.ts';

const newKey = () => randomBytes(32).toString('base64url');
const refusal = (attempt: Promise<unknown>) =>
  attempt.then(
    () => 'admitted',
    (error: { code: string }) => error.code,
  );

describe('broker: members', () => {
  let home: string;
  let nowMs = 1_000_000;
  let members: Members;
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'foremesh-members-'));
    members = new Members(home, () => nowMs);
  });
  afterEach(() => rm(home, { recursive: true }));

  const once = { ttlMs: 60_000, uses: 1, mayLead: true };
  const file = () => join(home, 'members.json');

  it('keeps no secret, and is for its owner alone', async () => {
    const token = await members.invite(once);
    assert.ok(!(await readFile(file(), 'utf8')).includes(token.secret));
    assert.equal((await stat(file())).mode & 0o777, 0o600);
  });

  it('admits as many as an invitation is for, however many come at once, from several processes', async () => {
    const token = await members.invite({ ...once, uses: 2 });
    const others = [members, new Members(home, () => nowMs)];
    const attempts = Array.from({ length: 6 }, (_, n) =>
      refusal(others[n % 2]!.admit(token, { node: `n${n}`, publicKey: newKey() }, 9)),
    );
    const outcomes = await Promise.all(attempts);
    assert.equal(outcomes.filter((each) => each === 'admitted').length, 2);
    assert.equal(outcomes.filter((each) => each === 'MESH_INVITATION_USED').length, 4);
  });

  it('has a use on disk when it is admitted, and lets the same key ask again', async () => {
    const token = await members.invite({ ...once, mayLead: false });
    const ada = { node: 'ada', publicKey: newKey() };
    assert.deepEqual(await members.admit(token, ada, 9), { mayLead: false });
    const { invitations } = JSON.parse(await readFile(file(), 'utf8'));
    assert.equal(invitations[token.id].usesLeft, 0);
    const afterCrash = new Members(home, () => nowMs);
    assert.equal(await refusal(afterCrash.admit(token, ada, 9)), 'admitted');
    const bob = { node: 'bob', publicKey: newKey() };
    assert.equal(await refusal(afterCrash.admit(token, bob, 9)), 'MESH_INVITATION_USED');
  });

  it('ends an invitation on time, and remembers a day that it was there', async () => {
    const token = await members.invite(once);
    const ada = { node: 'ada', publicKey: newKey() };
    nowMs += once.ttlMs;
    assert.equal(await refusal(members.admit(token, ada, 9)), 'MESH_INVITATION_EXPIRED');
    nowMs += 86_400_001;
    await members.invite(once); // tidies
    assert.equal(await refusal(members.admit(token, ada, 9)), 'MESH_INVITATION_UNKNOWN');
  });

  it('uses nothing for who is refused for its name or its past', async () => {
    const first = await members.invite(once);
    const ada = { node: 'ada', publicKey: newKey() };
    await members.admit(first, ada, 9);
    const token = await members.invite(once);
    assert.equal(await refusal(members.admit(token, { ...ada, publicKey: newKey() }, 9)), 'MESH_NOT_ADMITTED');
    assert.equal(await members.remove('ada'), true);
    assert.equal(await refusal(members.admit(token, ada, 9)), 'MESH_NODE_REMOVED');
    assert.equal(await refusal(members.admit(token, { ...ada, node: 'eve' }, 9)), 'MESH_NODE_REMOVED');
    assert.equal(members.problemOf(ada)?.code, 'MESH_NODE_REMOVED');
    assert.equal(await refusal(members.admit(token, { node: 'ada', publicKey: newKey() }, 9)), 'admitted');
  });

  it('removes nobody who is not there, and makes no file for it', async () => {
    assert.equal(await members.remove('nobody'), false);
    await assert.rejects(stat(file()), { code: 'ENOENT' });
  });

  it('holds as many invitations as it may', async () => {
    await members.invite(once);
    const content = JSON.parse(await readFile(file(), 'utf8'));
    const [one] = Object.values(content.invitations);
    for (let n = 1; n < brokerLimits.invitations; n += 1) content.invitations[`i${n}`] = one;
    await writeFile(file(), JSON.stringify(content));
    await assert.rejects(members.invite(once), { code: 'MESH_LIMIT_EXCEEDED' });
  });

  it('does not write over a damaged file', async () => {
    await writeFile(file(), '{ "v": 1, "nodes": ');
    await assert.rejects(members.invite(once), { code: 'MESH_CONFIG_INVALID', where: file() });
    assert.equal(await readFile(file(), 'utf8'), '{ "v": 1, "nodes": ');
  });
});
