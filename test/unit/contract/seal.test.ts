import assert from 'node:assert/strict';
import {
  base64UrlOf,
  bodyOf,
  isPublicKey,
  isSignature,
  joinSeal,
  limits,
  sealStatement,
  splitSeal,
  votersStatement,
} from '@foremesh/node-runtime/contract';
import fc from 'fast-check';

const bytes = fc.uint8Array({ maxLength: 300 });
const ofLength = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const signature = ofLength(64).map(base64UrlOf);

describe('a sealed payload', () => {
  it('gives back body and signature, and is as long as the limit says', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), signature, (body, signed) => {
        const payload = joinSeal(body, signed);
        assert.equal(payload.length, body.length + limits.sealBytes);
        const { body: found, signature: by } = splitSeal(payload)!;
        assert.deepEqual([Buffer.from(found), by], [Buffer.from(body), signed]);
        assert.deepEqual(Buffer.from(bodyOf(payload)), Buffer.from(body));
      }),
    );
  });

  it('of JSON has the body in its first line and is two JSON texts', () => {
    fc.assert(
      fc.property(fc.jsonValue(), signature, (value, signed) => {
        const payload = joinSeal(new TextEncoder().encode(JSON.stringify({ value })), signed);
        const lines = new TextDecoder().decode(payload).split('\n');
        assert.deepEqual(
          lines.map((line) => JSON.parse(line) as unknown),
          [{ value: JSON.parse(JSON.stringify(value)) }, signed],
        );
      }),
    );
  });

  it('is told from one without a seal: no JSON message ends like one', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const payload = new TextEncoder().encode(JSON.stringify(value));
        assert.equal(splitSeal(payload), undefined);
        assert.equal(bodyOf(payload), payload);
      }),
    );
    for (const text of ['', `\n"${'A'.repeat(86)}"`, `{}\n"${'A'.repeat(85)}B"`, `{}\n'${'A'.repeat(86)}'`]) {
      assert.equal(splitSeal(new TextEncoder().encode(text)), undefined, text);
    }
    fc.assert(fc.property(bytes, (payload) => assert.ok(splitSeal(payload) === undefined || payload.length > 89)));
  });

  it('fits a payload with its seal, or is refused', () => {
    const most = new Uint8Array(limits.payloadBytes - limits.sealBytes);
    assert.equal(joinSeal(most, 'A'.repeat(86)).length, limits.payloadBytes);
    assert.throws(() => joinSeal(new Uint8Array(most.length + 1), 'A'.repeat(86)), { code: 'MESH_LIMIT_EXCEEDED' });
  });

  it('signs mesh, topic and body', () => {
    const statement = sealStatement('id', 'foremesh/v1/m/leader', new TextEncoder().encode('{}'));
    assert.equal(new TextDecoder().decode(statement), 'foremesh message v1\nid\nforemesh/v1/m/leader\n{}');
  });
});

describe('keys and signatures as text', () => {
  it('are what base64url makes of 32 and 64 bytes, and have one spelling', () => {
    fc.assert(
      fc.property(ofLength(32), ofLength(64), fc.constantFrom(...'BCDghi159_-'), (key, signed, wrong) => {
        assert.equal(base64UrlOf(key), Buffer.from(key).toString('base64url'));
        assert.ok(isPublicKey(base64UrlOf(key)) && isSignature(base64UrlOf(signed)));
        const misspelt = base64UrlOf(signed).slice(0, -1) + wrong;
        if (wrong !== 'g') assert.ok(!isSignature(misspelt));
        if (!'AEIMQUYcgkosw048'.includes(wrong)) assert.ok(!isPublicKey(base64UrlOf(key).slice(0, -1) + wrong));
      }),
    );
    for (const text of ['', 'A'.repeat(42), 'A'.repeat(44), `${'A'.repeat(43)}\n`, `${'A'.repeat(42)}=`]) {
      assert.ok(!isPublicKey(text), text);
    }
  });
});

describe('a link of voters', () => {
  it('signs mesh, entry, term, and both sets with their keys', () => {
    const [a, b] = [
      { node: 'ada', publicKey: 'A'.repeat(43) },
      { node: 'bob', publicKey: 'B'.repeat(42).concat('A') },
    ];
    const link = { index: 7, term: 2, voters: [a!, b!], outgoing: [a!] };
    const text = new TextDecoder().decode(votersStatement('id', link));
    assert.equal(text, `foremesh voters v1\nid\n7\n2\nada:${a!.publicKey} bob:${b!.publicKey}\nada:${a!.publicKey}\n`);
    const others = [
      { ...link, index: 72 },
      { ...link, term: 3 },
      { index: 7, term: 2, voters: [a!, b!] },
      { ...link, voters: [b!, a!] },
      { ...link, voters: [a!], outgoing: [a!, b!] },
    ];
    const all = [link, ...others].map((each) => new TextDecoder().decode(votersStatement('id', each)));
    assert.equal(new Set([...all, new TextDecoder().decode(votersStatement('i', link))]).size, 7);
  });
});
