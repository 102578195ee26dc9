import assert from 'node:assert/strict';
import {
  addressesOf,
  brokerUrl,
  type Connection,
  describeConnection,
  formatConnection,
  formatInvitation,
  type Invitation,
  isInvitation,
  MeshError,
  meshIdOf,
  parseConnection,
  parseInvitation,
} from '@foremesh/node-runtime/contract';
import fc from 'fast-check';

const identifier = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6(), fc.constant('localhost'));
const meshId = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((key) => Buffer.from(key).toString('base64url'));
const fields = {
  host,
  port: fc.integer({ min: 1, max: 65_535 }),
  mesh: identifier,
  account: identifier,
  password: fc.string({ unit: 'grapheme', minLength: 1 }),
};
const ca = meshId;
const others = fc.array(fc.record({ host, port: fields.port }, { noNullPrototype: true }), {
  minLength: 1,
  maxLength: 7,
});
const profile = fc.constantFrom('edge' as const, 'lan' as const);
const requiredKeys = Object.keys(fields) as (keyof typeof fields)[];
const connections: fc.Arbitrary<Connection> = fc.record({ ...fields, meshId, ca, others, profile }, { requiredKeys });

const { account: _account, password: _password, ...placeFields } = fields;
const token = fc.record(
  { id: fc.stringMatching(/^[A-Za-z0-9_-]{8}$/), secret: fc.stringMatching(/^[A-Za-z0-9_-]{24}$/) },
  { noNullPrototype: true },
);
const invitations: fc.Arbitrary<Invitation> = fc.record(
  { ...placeFields, meshId, ca, token, others, profile },
  { requiredKeys: ['host', 'port', 'mesh', 'meshId', 'ca', 'token'] },
);

describe('invitation', () => {
  const id = 'A'.repeat(43);
  const secret = 'never-shown-0123456789';

  it('reads back what it wrote, and is no connection string of an account', () => {
    fc.assert(
      fc.property(invitations, (invitation) => {
        const text = formatInvitation(invitation);
        assert.ok(isInvitation(text));
        assert.deepEqual(parseInvitation(text), { ...invitation });
        assert.throws(() => parseConnection(text), { code: 'MESH_CONFIG_INVALID', message: /account/ });
      }),
    );
  });

  it('refuses one that is not whole, and shows nothing of its secret', () => {
    for (const text of [
      `foremesh://h/m?id=${id}&ca=${id}`,
      `foremesh://h/m?id=${id}&token=ab.${secret}`,
      `foremesh://h/m?ca=${id}&token=ab.${secret}`,
      `foremesh://a:b@h/m?id=${id}&ca=${id}&token=ab.${secret}`,
      `foremesh://h/m?id=${id}&ca=${id}&token=${secret}`,
      `foremesh://h/m?id=${id}&ca=${id}&token=ab.${secret}%`,
      `foremesh://h,/m?id=${id}&ca=${id}&token=ab.${secret}`,
      `foremesh://${'h,'.repeat(8)}h/m?id=${id}&ca=${id}&token=ab.${secret}`,
    ]) {
      assert.throws(
        () => parseInvitation(text),
        (error: MeshError) => error.code === 'MESH_CONFIG_INVALID' && !error.toLine().includes('never'),
        text,
      );
    }
  });

  it('is reached over TLS on its usual port', () => {
    const parsed = parseInvitation(`foremesh://h,[fd00::1]:99/m?id=${id}&ca=${id}&token=ab.${secret}`);
    assert.deepEqual(addressesOf(parsed), [
      { host: 'h', port: 8883 },
      { host: 'fd00::1', port: 99 },
    ]);
    assert.equal(brokerUrl(parsed), 'mqtts://h:8883');
  });
});

describe('connection string', () => {
  it('reads back what it wrote', () => {
    fc.assert(
      fc.property(connections, (connection) =>
        assert.deepEqual(parseConnection(formatConnection(connection)), { ...connection }),
      ),
      { numRuns: 500 },
    );
  });

  it('throws MESH_CONFIG_INVALID on anything else, and never shows the password', () => {
    const texts = fc.oneof(
      fc.string(),
      fc.string().map((text) => `foremesh://${text}`),
      fc.webUrl({ validSchemes: ['foremesh'], withQueryParameters: true, withFragments: true }),
      fc.constantFrom('foremesh://a.b:secret@h:1/m', 'foremesh://a:secret@h:1/m.n', 'foremesh://a:%zzsecret@h:1/m'),
    );
    fc.assert(
      fc.property(texts, (text) => {
        try {
          parseConnection(text, 'here');
        } catch (error) {
          assert.ok(error instanceof MeshError, `${error}`);
          assert.equal(error.code, 'MESH_CONFIG_INVALID', text);
          assert.equal(error.where, 'here');
          assert.ok(!error.toLine().includes('secret'));
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('refuses what cannot be reached', () => {
    for (const text of [
      '',
      'mqtt://a:b@h:1883/m',
      'foremesh://a@h/m',
      'foremesh://a:b@/m',
      'foremesh://a:b@h',
      'foremesh://a:b@h/',
      'foremesh://a:b@h:0/m',
      'foremesh://a:b@h:65536/m',
      'foremesh://a:b@h:99999/m',
      'foremesh://a:b@ho st:1/m',
      'foremesh://a:b@h:1/m/n',
      'foremesh://a:b@h:1/m?x=1',
      'foremesh://a:b@h:1/m?id=',
      `foremesh://a:b@h:1/m?id=${'A'.repeat(42)}`,
      `foremesh://a:b@h:1/m?id=${'A'.repeat(43)}&x=1`,
      `foremesh://a:b@h:1/m?id=${'A'.repeat(42)}B`, // bits that no 32 bytes have
      'foremesh://a:b@::1:1883/m',
    ]) {
      assert.throws(() => parseConnection(text), { code: 'MESH_CONFIG_INVALID' }, text);
    }
  });

  it('that has no id is enough for a client, not for a node', () => {
    const id = 'A'.repeat(43);
    assert.equal(meshIdOf(parseConnection(`foremesh://a:b@h/m?id=${id}`)), id);
    assert.throws(
      () => meshIdOf(parseConnection('foremesh://a:b@h/m')),
      (error: MeshError) => {
        assert.equal(error.code, 'MESH_CONFIG_INVALID');
        return /foremesh init/.test(error.mend ?? '');
      },
    );
  });

  it('takes the usual port unless one is named', () => {
    assert.equal(parseConnection(' foremesh://a:b@h/m\n').port, 1883);
    assert.equal(brokerUrl(parseConnection('foremesh://a:b@[fd00::1]/m')), 'mqtt://[fd00::1]:1883');
    assert.equal(describeConnection(parseConnection('foremesh://a:b@[fd00::1]/m')), 'a@[fd00::1]:1883/m');
  });
});
