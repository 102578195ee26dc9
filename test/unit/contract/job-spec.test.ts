import assert from 'node:assert/strict';
import {
  check,
  durationToSeconds,
  identifier,
  type JobSpec,
  jobSpec,
  limits,
  MeshError,
} from '@foremesh/node-runtime/contract';
import { mergeName, partName } from '@foremesh/node-runtime/core';
import fc from 'fast-check';

const code = { inline: 'export default () => 1' };

function take(stages: unknown, rest: object = {}): JobSpec {
  return check(jobSpec, { stages, ...rest }, 'MESH_SPEC_INVALID');
}

function refusal(stages: unknown, rest: object = {}): string {
  try {
    take(stages, rest);
  } catch (error) {
    assert.ok(error instanceof MeshError && error.code === 'MESH_SPEC_INVALID');
    return `${error.where}: ${error.message}`;
  }
  return 'taken';
}

describe('job spec', () => {
  it('takes the smallest job, and expands shorthands', () => {
    assert.deepEqual(take({ s: { code } }), { stages: { s: { code: { ...code, engine: 'js' } } } });
    assert.deepEqual(take({ s: { code, input: { inline: '' }, split: 'lines', estimate: '1.5min' } }).stages.s, {
      code: { ...code, engine: 'js' },
      input: { inline: '' },
      split: { by: 'lines' },
      estimate: 90,
    });
  });

  const input = { inline: 'x' };
  const refusals: readonly [what: string, stages: unknown, expected: RegExp][] = [
    ['no stage', {}, /^stages: a job needs at least one stage$/],
    ['a circle of one', { a: { code, needs: ['a'] } }, /^stages: .*circle: a -> a$/],
    [
      'a circle',
      { a: { code, needs: ['c'] }, b: { code, needs: ['a'] }, c: { code, needs: ['b'] } },
      /circle: a -> c -> b -> a$/,
    ],
    [
      'a circle away from the first stage',
      { a: { code }, b: { code, needs: ['c'] }, c: { code, needs: ['b'] } },
      /circle: b -> c -> b$/,
    ],
    ['an unknown need', { a: { code, needs: ['b'] } }, /^stages\.a\.needs\.0: there is no stage "b"$/],
    [
      'a need that every object has',
      { a: { code, needs: ['constructor'] } },
      /^stages\.a\.needs\.0: there is no stage "constructor"$/,
    ],
    [
      'a need named twice',
      { a: { code }, b: { code, needs: ['a', 'a'] } },
      /^stages\.b\.needs\.1: "a" is named twice$/,
    ],
    [
      'input and needs',
      { a: { code }, b: { code, needs: ['a'], input } },
      /^stages\.b\.input: a stage has `input` or `needs`, not both$/,
    ],
    ['empty needs', { a: { code, needs: [] } }, /^stages\.a\.needs: /],
    [
      'a merge without a split',
      { a: { code, merge: 'array' } },
      /^stages\.a\.merge: `merge` goes with `split` or `matrix`$/,
    ],
    [
      'a split of nothing',
      { a: { code, split: 'lines' } },
      /^stages\.a\.split: `split` needs an `input`, or exactly one stage/,
    ],
    [
      'a split of two needs',
      { a: { code }, b: { code }, c: { code, needs: ['a', 'b'], split: 'items' } },
      /^stages\.c\.split: /,
    ],
    ['an unknown split', { a: { code, input, split: 'bytes' } }, /^stages\.a\.split/],
    ['no chunks', { a: { code, input, split: { by: 'lines', chunks: 0 } } }, /^stages\.a\.split/],
    ['an unknown key', { a: { code, retrys: 1 } }, /^stages\.a: .*retrys/],
    ['a stage name with a dot', { 'a.b': { code } }, /^stages\.a\.b: /],
    ['no code', { a: {} }, /^stages\.a\.code: /],
    ['empty code', { a: { code: { inline: '' } } }, /^stages\.a\.code\.inline: /],
    [
      'code inline and by blob',
      { a: { code: { inline: 'x', blob: `sha256-${'a'.repeat(64)}`, sizeBytes: 1 } } },
      /^stages\.a\.code: /,
    ],
    ['an unknown engine', { a: { code: { inline: 'x', engine: 'lua' } } }, /^stages\.a\.code\.engine: /],
    [
      'inline input that is too large',
      { a: { code, input: { inline: 'x'.repeat(limits.inlineBytes + 1) } } },
      /inlineBytes is 65536; put it in a blob/,
    ],
    [
      'inline input too large in bytes only',
      { a: { code, input: { inline: '漢'.repeat(30_000) } } },
      /inlineBytes is 65536; put it in a blob/,
    ],
    [
      'parameters that are too large',
      { a: { code, parameters: 'x'.repeat(limits.parametersBytes) } },
      /^stages\.a\.parameters: parametersBytes is 16384/,
    ],
    ['priority 10', { a: { code, priority: 10 } }, /^stages\.a\.priority: /],
    ['11 retries', { a: { code, retries: 11 } }, /^stages\.a\.retries: /],
    ['too little memory', { a: { code, limits: { memoryMiB: 1 } } }, /^stages\.a\.limits\.memoryMiB: /],
    ['too much memory', { a: { code, limits: { memoryMiB: 4_096 } } }, /^stages\.a\.limits\.memoryMiB: /],
    ['no time', { a: { code, limits: { wallSeconds: 0 } } }, /^stages\.a\.limits\.wallSeconds: /],
    ['a duration without a unit', { a: { code, estimate: '20' } }, /^stages\.a\.estimate: .*seconds/],
    ['an endless estimate', { a: { code, estimate: `${'9'.repeat(400)}h` } }, /^stages\.a\.estimate: /],
    ['an estimate beyond all numbers', { a: { code, estimate: 1e300 } }, /^stages\.a\.estimate: /],
    ['a stage name too long for its tasks', { ['s'.repeat(64)]: { code } }, /^stages\.s+: .*58/],
  ];
  for (const [what, stages, expected] of refusals) {
    it(`refuses ${what}`, () => assert.match(refusal(stages), expected));
  }

  it('refuses more stages than a job may have', () => {
    const stages = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`s${n}`, { code }]));
    assert.match(refusal(stages(limits.stagesPerJob + 1)), /^stages: stagesPerJob is 64, found 65$/);
    assert.equal(refusal(stages(limits.stagesPerJob)), 'taken');
  });

  it('takes no stage whose tasks could not be named', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9_-]{50,64}$/), (name) => {
        if (name === '__proto__' || refusal({ [name]: { code } }) !== 'taken') return;
        assert.ok(identifier.safeParse(partName(name, limits.tasksPerStage)).success);
        assert.ok(identifier.safeParse(mergeName(name)).success);
      }),
    );
  });

  it('names every stage that can never start, behind a circle or a stage that is not there', () => {
    const needing = (...needs: string[]) => ({ code: { inline: 'x' }, needs });
    const stages = {
      a: needing('b'),
      b: needing('a'),
      c: needing('d'),
      d: needing('b'),
      e: needing('none'),
      f: needing('e'),
    };
    const { error } = jobSpec.safeParse({ stages });
    assert.deepEqual(
      error!.issues.map(({ message }) => message),
      [
        'there is no stage "none"',
        'the stages need each other in a circle: a -> b -> a',
        '"c" can never start: it needs "d", which cannot either',
        '"d" can never start: it needs "b", which cannot either',
        '"f" can never start: it needs "e", which cannot either',
      ],
    );
  });

  it('finds a circle in any graph that has one, and none in any that has not', () => {
    const graphs = fc.array(fc.tuple(fc.nat(7), fc.nat(7)), { maxLength: 12 });
    fc.assert(
      fc.property(graphs, fc.boolean(), (edges, forward) => {
        const stages: Record<string, { code: typeof code; needs?: string[] }> = {};
        for (let n = 0; n < 8; n += 1) stages[`s${n}`] = { code };
        for (const [from, to] of edges) {
          if (forward && from <= to) continue;
          const stage = stages[`s${from}`]!;
          if (!stage.needs?.includes(`s${to}`)) stage.needs = [...(stage.needs ?? []), `s${to}`];
        }
        assert.equal(refusal(stages).includes('circle'), !isSortable(stages));
      }),
      { numRuns: 500 },
    );
  });

  it('reads durations', () => {
    for (const [text, seconds] of [
      ['20s', 20],
      ['1.5min', 90],
      ['2 h', 7_200],
      ['250ms', 0.25],
    ] as const) {
      assert.equal(durationToSeconds(text), seconds);
    }
  });
});

/** Kahn's algorithm: whether every stage can be taken off after what it needs. */
function isSortable(stages: Readonly<Record<string, { needs?: string[] }>>): boolean {
  const left = new Map(Object.entries(stages));
  for (;;) {
    const free = [...left].filter(([, { needs }]) => !(needs ?? []).some((need) => left.has(need)));
    if (free.length === 0) return left.size === 0;
    for (const [name] of free) left.delete(name);
  }
}
