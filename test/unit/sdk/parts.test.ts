import assert from 'node:assert/strict';
import { canonicalJson, isIdentifier, jobSpec } from '@foremesh/node-runtime/contract';
import { specHashOf } from '@foremesh/node-runtime/data';
import { makeJobId } from '@foremesh/node-runtime/sdk';
import fc from 'fast-check';
import { backoffDelayMs, defaultTiming } from '../../../node-runtime/sdk/timing.ts';

describe('sdk: parts', () => {
  it('makes ids that are identifiers, whatever the name', () => {
    assert.match(makeJobId('Flüge 2024 / Nacht', Math.random), /^fluge-2024-nacht-[2-9a-z]{6}$/);
    assert.match(
      makeJobId(undefined, () => 0),
      /^job-222222$/,
    );
    assert.match(
      makeJobId('???', () => 0.999),
      /^job-zzzzzz$/,
    );
    fc.assert(fc.property(fc.string(), (name) => isIdentifier(makeJobId(name, Math.random))));
  });

  it('names a spec by its content, not by the order or the form it was written in', () => {
    const hash = (value: unknown) => specHashOf(jobSpec.parse(value));
    const code = { inline: 'export default 1', engine: 'js' };
    const known = hash({ stages: { b: { code, estimate: '2s' }, a: { code: { inline: code.inline } } } });
    assert.equal(known, hash({ stages: { a: { code }, b: { estimate: 2, code } } }));
    assert.notEqual(known, hash({ stages: { a: { code }, b: { estimate: 3, code } } }));
    assert.match(known, /^[0-9a-f]{64}$/);
  });

  it('writes canonical JSON that reads back, with sorted keys', () => {
    assert.equal(canonicalJson({ b: [1, { d: null, c: 'é' }], a: undefined }), '{"b":[1,{"c":"é","d":null}]}');
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const plain = JSON.parse(JSON.stringify(value)) as unknown;
        assert.deepEqual(JSON.parse(canonicalJson(plain)), plain);
      }),
    );
  });

  it('waits longer after every failed attempt, up to a bound, never the same for all', () => {
    const most = Array.from({ length: 20 }, (_, attempt) => backoffDelayMs(attempt, defaultTiming, () => 1));
    const least = Array.from({ length: 20 }, (_, attempt) => backoffDelayMs(attempt, defaultTiming, () => 0));
    assert.deepEqual(most.slice(0, 3), [250, 500, 1_000]);
    assert.equal(most.at(-1), defaultTiming.backoffMostMs);
    for (const [i, value] of least.entries()) assert.equal(value, most[i]! / 2);
  });
});
