import assert from 'node:assert/strict';
import {
  assign,
  blobAnswer,
  blobAsk,
  decode,
  decodeUnchecked,
  encode,
  encodeCbor,
  inboxEnvelope,
  jobCancel,
  jobLogs,
  jobResult,
  jobSpec,
  jobState,
  leaderHint,
  limits,
  MeshError,
  meshEvent,
  nodeMetrics,
  nodeStatus,
  outboxEnvelope,
  queryAnswer,
  queryAsk,
  raftEnvelope,
  termProof,
  votersLink,
} from '@foremesh/node-runtime/contract';
import fc from 'fast-check';
import type * as z from 'zod';
import { arbitraryOf } from './arbitrary-of.ts';

const schemas: Record<string, z.ZodType> = {
  nodeStatus,
  nodeMetrics,
  leaderHint,
  meshEvent,
  inboxEnvelope,
  outboxEnvelope,
  assign,
  blobAsk,
  blobAnswer,
  jobState,
  jobResult,
  jobCancel,
  jobLogs,
  queryAsk,
  queryAnswer,
  raftEnvelope,
  termProof,
  votersLink,
};
const binary = ['inboxEnvelope', 'outboxEnvelope', 'assign', 'blobAsk', 'blobAnswer', 'raftEnvelope'];
const all = [...Object.values(schemas), jobSpec];

/** Whatever the bytes are: a value, or a `MeshError`. */
function onlyMeshErrors(payload: Uint8Array, among: readonly z.ZodType[] = all): void {
  for (const schema of among) {
    try {
      decode(schema, payload);
    } catch (error) {
      if (!(error instanceof MeshError)) throw new assert.AssertionError({ message: `${(error as Error).stack}` });
      assert.ok(error.toLine().length < 2_000, `a message of ${error.toLine().length} characters`);
    }
  }
}

function bytes(...hex: string[]): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.join(''), 'hex'));
}

describe('codec: round trips', () => {
  for (const [name, schema] of Object.entries(schemas)) {
    it(`${name} in CBOR${binary.includes(name) ? '' : ' and JSON'}`, () => {
      fc.assert(
        fc.property(arbitraryOf(schema), (message) => {
          const encodings = binary.includes(name) ? (['cbor'] as const) : (['cbor', 'json'] as const);
          const expected = schema.parse(message);
          for (const encoding of encodings) {
            const payload = encode(message, encoding);
            if (encoding === 'json') assert.equal(payload[0], 0x7b);
            else assert.notEqual(payload[0], 0x7b);
            assert.equal(fc.stringify(plain(decode(schema, payload))), fc.stringify(plain(expected)));
          }
        }),
        { numRuns: 60 },
      );
    });
  }

  it('refuses to write what is larger than a payload', () => {
    assert.throws(() => encode({ text: 'x'.repeat(limits.payloadBytes) }, 'json'), { code: 'MESH_LIMIT_EXCEEDED' });
    assert.throws(() => encode({ text: 'x'.repeat(limits.payloadBytes) }, 'cbor'), { code: 'MESH_LIMIT_EXCEEDED' });
    assert.ok(encode({ text: 'x'.repeat(limits.payloadBytes - 20) }, 'json').length <= limits.payloadBytes);
  });

  it('does not write over what it gave before', () => {
    const payloads = Array.from({ length: 2_000 }, (_, n) => encodeCbor({ n, text: 'some text that is long enough' }));
    for (const [n, payload] of payloads.entries())
      assert.deepEqual(decodeUnchecked(payload), { n, text: 'some text that is long enough' });
  });
});

/** Buffers as plain byte arrays, for comparison. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return [...value];
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, plain((value as Record<string, unknown>)[key])]),
  );
}

describe('codec: hostile payloads', () => {
  it('survives random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (payload) => onlyMeshErrors(payload, [outboxEnvelope, jobSpec])),
      { numRuns: 3_000 },
    );
  });

  it('survives random JSON', () => {
    fc.assert(
      fc.property(fc.json(), (text) => onlyMeshErrors(new TextEncoder().encode(`{"v":1,"stages":${text}}`), [jobSpec])),
      { numRuns: 500 },
    );
  });

  it('survives messages that are cut off or have a byte flipped', () => {
    const messages = fc
      .constantFrom('nodeStatus', 'outboxEnvelope', 'inboxEnvelope')
      .chain((name) => arbitraryOf(schemas[name]!).map((message) => ({ name, payload: encodeCbor(message) })));
    fc.assert(
      fc.property(messages, fc.nat(), fc.nat(255), ({ name, payload }, at, bit) => {
        onlyMeshErrors(payload.subarray(0, at % payload.length), [schemas[name]!]);
        const flipped = Uint8Array.from(payload);
        flipped[at % payload.length]! ^= bit;
        onlyMeshErrors(flipped, [schemas[name]!]);
      }),
      { numRuns: 1_000 },
    );
  });

  const deep = 120_000;
  const hostile: Record<string, Uint8Array> = {
    'nothing at all': new Uint8Array(),
    'one byte too many': new Uint8Array(limits.payloadBytes + 1).fill(0x20),
    'JSON arrays nested deep in parameters': json(
      `{"stages":{"a":{"code":{"inline":"x"},"parameters":${'['.repeat(deep)}${']'.repeat(deep)}}}}`,
    ),
    'JSON objects nested deep': json(`${'{"a":'.repeat(40_000)}1${'}'.repeat(40_000)}`),
    'JSON nested 2,000 deep in parameters': json(
      `{"stages":{"a":{"code":{"inline":"x"},"parameters":${'['.repeat(2_000)}${']'.repeat(2_000)}}}}`,
    ),
    'a JSON version that nests deep': json(`{"v":${'['.repeat(deep)}${']'.repeat(deep)}}`),
    'JSON that is cut off': json('{"v":1,"node":"a'),
    'JSON that is not UTF-8': Uint8Array.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]),
    'CBOR arrays nested deep': new Uint8Array(200_000).fill(0x81),
    'CBOR maps nested deep': bytes('a16161'.repeat(80_000)),
    'CBOR arrays of indefinite length nested deep': new Uint8Array(200_000).fill(0x9f),
    'CBOR tags nested deep': new Uint8Array(200_000).fill(0xc1),
    'a CBOR array of 2^32 - 1': bytes('9affffffff'),
    'a CBOR array of 2^63': bytes('9b8000000000000000'),
    'many CBOR arrays that claim 65,535 elements': bytes('99ffff'.repeat(60_000)),
    'a CBOR map of 2^31': bytes('ba7fffffff'),
    'CBOR bytes of 2^31': bytes('5a7fffffff'),
    'a CBOR text of 2^63': bytes('7b7fffffffffffffff'),
    'a version of 64 bits': bytes('a161761bffffffffffffffff'),
    'a CBOR date for a version': bytes('a16176c11a514b67b0'),
    'a CBOR error object': bytes('d81b83654572726f7261610a'),
    'a CBOR regular expression': bytes('d82382632861 2b292b6167'.replaceAll(' ', '')),
    'a CBOR record of cbor-x': bytes('d9dfff83198000816161 01'.replaceAll(' ', '')),
    'a CBOR packed table': bytes('d9010082810105'),
    'a CBOR shared reference to itself': bytes('d81c81d81d00'),
    'a CBOR typed array of 2^31': bytes('d8455a7fffffff'),
    'an unknown key of 250,000 characters': json(`{"stages":{},"${'k'.repeat(250_000)}":1}`),
    'a stage name of 250,000 characters': json(`{"stages":{"${'k'.repeat(250_000)}":{"code":{"inline":"x"}}}}`),
    'a version of 250,000 characters': json(`{"v":"${'k'.repeat(250_000)}"}`),
    'a chain of 5,000 stages': json(JSON.stringify({ stages: chain(5_000) })),
    'a circle of 5,000 stages': json(
      JSON.stringify({ stages: { ...chain(5_000), s0: { code: { inline: 'x' }, needs: ['s4999'] } } }),
    ),
    '2,000 stages with 25 needs each': json(JSON.stringify({ stages: dense(1_000, 35) })),
  };
  for (const [what, payload] of Object.entries(hostile)) {
    it(`refuses ${what}`, () => {
      const began = process.cpuUsage();
      onlyMeshErrors(payload);
      const { user } = process.cpuUsage(began);
      assert.ok(user < 3_000_000, `it took ${user / 1_000} ms of CPU`);
    });
  }

  it('does not let a payload reach a prototype', () => {
    for (const key of ['__proto__', 'constructor']) {
      const text = `{"v":1,"source":"a","kind":"b","severity":"info","text":"c","fields":{"${key}":{"polluted":true}}}`;
      for (const payload of [json(text), encodeCbor(JSON.parse(text))]) {
        try {
          decode(meshEvent, payload);
        } catch (error) {
          assert.ok(error instanceof MeshError);
        }
        assert.equal(({} as { polluted?: boolean }).polluted, undefined);
      }
    }
    const spec = decode(
      jobSpec,
      json('{"stages":{"a":{"code":{"inline":"x"},"parameters":{"__proto__":{"polluted":true}}}}}'),
    );
    assert.equal((spec.stages.a!.parameters as { polluted?: boolean }).polluted, undefined);
  });

  it('takes what a client of another language would write', () => {
    // A map of indefinite length, the version as a half float, the text with a length longer than needed.
    assert.deepEqual(decode(jobCancel, bytes('bf6176f93c00', '66726561736f6e', '7900026e6f', 'ff')), {
      v: 1,
      reason: 'no',
    });
  });

  it('says the version it does not speak', () => {
    assert.throws(() => decode(jobCancel, json('{"v":2}')), { code: 'MESH_MESSAGE_VERSION', where: 'v' });
    assert.throws(() => decode(jobCancel, json('{"v":null}')), { code: 'MESH_MESSAGE_VERSION' });
  });
});

function json(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function chain(length: number): Record<string, unknown> {
  return Object.fromEntries(
    Array.from({ length }, (_, n) => [
      `s${n}`,
      { code: { inline: 'x' }, ...(n === 0 ? {} : { needs: [`s${n - 1}`] }) },
    ]),
  );
}

function dense(stages: number, needs: number): Record<string, unknown> {
  const needed = Array.from({ length: needs }, (_, n) => `s${n + stages - needs}`);
  return Object.fromEntries(
    Array.from({ length: stages }, (_, n) => [`s${n}`, { code: { inline: 'x' }, needs: needed }]),
  );
}
