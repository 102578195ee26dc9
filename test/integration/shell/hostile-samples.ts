import { encode, encodeCbor, limits } from '@foremesh/node-runtime/contract';

export type AttemptMessage = Readonly<Record<string, unknown>>;

const deepJson = (levels: number) => `{"a":${'['.repeat(levels)}${']'.repeat(levels)}}`;

/** Payloads that fit no schema; at least five of them are refused by every one. */
export function garbage(): [string, Uint8Array][] {
  const whole = encode({ v: 1, node: 'ada', from: 'ada', bootId: 'x', seq: 1, term: 1, messages: [] }, 'cbor');
  return [
    ['a byte', Buffer.from([0xff])],
    ['text', Buffer.from('hello')],
    ['half JSON', Buffer.from('{"v":1,')],
    ['no UTF-8', Buffer.from([0x7b, 0xff, 0xfe, 0x7d])],
    ['truncated CBOR', Buffer.from(whole.subarray(0, whole.length - 3))],
    ['a long string that is not there', Buffer.from([0x7b, 0x7b, 0x7b])],
    ['an array of 2^32 elements', Buffer.from([0x9a, 0xff, 0xff, 0xff, 0xff])],
    ['deep CBOR', Buffer.alloc(100_000, 0x81)],
    ['deep JSON', Buffer.from(deepJson(60_000))],
    ['another version', encode({ v: 2, node: 'ada' }, 'json')],
    ['a version that is a list', encode({ v: [[1]] }, 'cbor')],
    ['a date', Buffer.from([0xc1, 0x00])],
    ['a shared value that holds itself', Buffer.from([0xd8, 0x1c, 0x81, 0xd8, 0x1d, 0x00])],
    ['prototype keys', Buffer.from('{"v":1,"__proto__":{"node":"ada"},"constructor":{"prototype":{}}}')],
    [
      'numbers that are none',
      encodeCbor({ v: 1, node: 'ada', bootId: 'b', seq: Number.NaN, term: Number.POSITIVE_INFINITY }),
    ],
    ['a 64-bit version', Buffer.from([0xa1, 0x61, 0x76, 0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
    ['as large as may be', Buffer.alloc(limits.payloadBytes, 0x20)],
  ];
}

const code = { inline: 'export default () => 1' };

/** Specs that must be refused; keys are part of a job's id. */
export function hostileSpecs(): [string, Uint8Array][] {
  const json = (value: unknown) => Buffer.from(JSON.stringify(value));
  const chain = Array.from({ length: 3_000 }, (_, n) => [
    `s${n}`,
    { code: { inline: '1' }, ...(n === 0 ? {} : { needs: [`s${n - 1}`] }) },
  ]);
  return [
    ['null', Buffer.from([0xf6])],
    ['number', Buffer.from([0x07])],
    ['half', Buffer.from('{"stages"')],
    ['none', json({ stages: {} })],
    ['unknown-key', json({ stages: { a: { code } }, ['\u0001'.repeat(30_000)]: 1 })],
    ['long-stage', json({ stages: { ['x'.repeat(100_000)]: { code } } })],
    ['proto-stage', Buffer.from(`{"stages":{"__proto__":{"code":${JSON.stringify(code)}}}}`)],
    [
      'proto-beside',
      Buffer.from(`{"stages":{"a":{"code":${JSON.stringify(code)}},"__proto__":{"code":${JSON.stringify(code)}}}}`),
    ],
    ['proto-key', Buffer.from(`{"stages":{"a":{"code":${JSON.stringify(code)},"__proto__":{"needs":["b"]}}}}`)],
    ['proto-need', json({ stages: { a: { code, needs: ['toString'] } } })],
    ['constructor-need', json({ stages: { a: { code, needs: ['constructor'] } } })],
    ['circle', json({ stages: { a: { code, needs: ['b'] }, b: { code, needs: ['a'] } } })],
    ['self', json({ stages: { a: { code, needs: ['a'] } } })],
    ['chain', json({ stages: Object.fromEntries(chain) })],
    [
      'deep',
      Buffer.from(`{"stages":{"a":{"code":{"inline":"1"},"parameters":${'['.repeat(50_000)}${']'.repeat(50_000)}}}}`),
    ],
    ['parameters', json({ stages: { a: { code, parameters: 'x'.repeat(limits.parametersBytes + 1) } } })],
    ['inline', json({ stages: { a: { code: { inline: 'x'.repeat(limits.inlineBytes + 1) } } } })],
    [
      'code-bytes',
      json({ stages: { a: { code: { blob: `sha256-${'0'.repeat(64)}`, sizeBytes: limits.codeBytes + 1 } } } }),
    ],
    ['endless', json({ stages: { a: { code, estimate: `${'9'.repeat(400)}h` } } })],
    ['date', Buffer.concat([Buffer.from([0xa1, 0x66]), Buffer.from('stages'), Buffer.from([0xc1, 0x00])])],
    ['name', json({ name: 'x'.repeat(201), stages: { a: { code } } })],
    ['chunks', json({ stages: { a: { code, input: { inline: '1' }, split: { by: 'lines', chunks: 1e9 } } } })],
    ['memory', json({ stages: { a: { code, limits: { memoryMiB: 1e9 } } } })],
  ];
}

/** Reports of attempts that there are not. */
export function attempts(): AttemptMessage[] {
  const usage = { cpuMs: 1, wallMs: 1, peakMemoryBytes: 1, inputBytes: 1, outputBytes: 1 };
  const blob = { encoding: 'json', blob: `sha256-${'1'.repeat(64)}`, sizeBytes: 5 };
  return [
    'owner/unknown/main-0#1.1',
    'owner/honest-1/main-0#1.1',
    'owner/honest-1/main-99#99999999999999999999.0',
    '__proto__/constructor/toString#0.0',
    'owner/honest-1/main-merge#1.1',
  ].flatMap((attempt) => [
    { type: 'started', attempt },
    { type: 'progress', attempt, fraction: 0.5 },
    { type: 'done', attempt, usage, output: blob },
    { type: 'failed', attempt, usage, fault: 'task', code: 'NOT_A_CODE', message: 'no' },
    { type: 'failed', attempt, usage, fault: 'node', code: 'MESH_NODE_FULL', message: 'no' },
    { type: 'inventory', request: 1e15, attempts: [attempt] },
  ]);
}
