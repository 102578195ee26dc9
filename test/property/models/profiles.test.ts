import assert from 'node:assert/strict';
import { type CodeProfile, type ObservedTask, predictTasks, type QuantityEstimate } from '@foremesh/models';
import fc from 'fast-check';
import { randomOf } from '../../support/generated.ts';

const wild = fc.oneof(
  fc.double({ min: 0, max: 1e12, noNaN: true }),
  fc.constantFrom(0, 1e-300, 1e300, Number.NaN, Number.POSITIVE_INFINITY),
);
const unmeasured: fc.Arbitrary<number | null> = fc.option(wild);
const task: fc.Arbitrary<ObservedTask> = fc.tuple(wild, unmeasured, unmeasured, wild);
const profile: fc.Arbitrary<CodeProfile> = fc
  .record({
    engine: fc.constantFrom('js', 'wasm'),
    code: fc.constantFrom('a', 'b', 'c', 'd'),
    category: fc.constantFrom('image-processing', 'data-analysis', undefined),
    sample: fc.array(task, { maxLength: 40, size: 'max' }),
  })
  .map(
    ({ category, ...rest }): CodeProfile => ({
      ...rest,
      tasks: rest.sample.length,
      ...(category === undefined ? {} : { category }),
    }),
  );
const profiles = fc.uniqueArray(profile, { selector: ({ engine, code }) => `${engine}/${code}`, maxLength: 8 });
const question = fc.record({
  engine: fc.constantFrom('js', 'wasm', 'node'),
  code: fc.constantFrom('a', 'b', 'c', 'unknown'),
  category: fc.constantFrom('image-processing', 'machine-learning'),
  inputBytes: fc.double({ min: 0, max: 1e15, noNaN: true }),
});

const numbersOf = ({ q10, q50, q90, fixed, perByte }: QuantityEstimate) => [q10, q50, q90, fixed, perByte];
const shuffled = <T>(values: readonly T[], uniform: () => number): T[] =>
  values
    .map((value) => ({ value, key: uniform() }))
    .sort((a, b) => a.key - b.key)
    .map(({ value }) => value);

describe('profiles of tasks', () => {
  it('never cross, are never negative and never NaN, whatever was measured', () => {
    fc.assert(
      fc.property(profiles, question, (known, asked) => {
        const { workSeconds, peakMemoryBytes, outputBytes, basis, evidence } = predictTasks(known)(asked);
        for (const each of [workSeconds, peakMemoryBytes, outputBytes]) {
          if (each === undefined) continue;
          for (const value of numbersOf(each)) assert.ok(value >= 0 && Number.isFinite(value), `${value}`);
          assert.ok(each.q10 <= each.q50 && each.q50 <= each.q90, JSON.stringify(each));
          assert.notEqual(basis, 'none');
        }
        const engine = known.filter((each) => each.engine === asked.engine);
        assert.equal(evidence.codes, engine.filter(({ code }) => code !== asked.code).length);
        if (engine.every(({ sample }) => sample.length === 0)) assert.equal(basis, 'none');
      }),
      { numRuns: 500 },
    );
  });

  it('do not depend on the order of tasks, nor of codes', () => {
    fc.assert(
      fc.property(profiles, question, fc.integer(), (known, asked, seed) => {
        const { uniform } = randomOf(seed);
        const other = shuffled(known, uniform).map((each) => ({ ...each, sample: shuffled(each.sample, uniform) }));
        const one = predictTasks(known)(asked);
        const two = predictTasks(other)(asked);
        assert.equal(one.basis, two.basis);
        for (const name of ['workSeconds', 'peakMemoryBytes', 'outputBytes'] as const) {
          const pairs = [one[name], two[name]] as const;
          assert.equal(pairs[0] === undefined, pairs[1] === undefined);
          if (pairs[0] === undefined || pairs[1] === undefined) continue;
          const [left, right] = [numbersOf(pairs[0]), numbersOf(pairs[1])];
          for (const [index, value] of left.entries())
            assert.ok(
              Math.abs(value - right[index]!) <= 1e-6 * Math.max(value, right[index]!),
              `${name} ${value} ${right[index]}`,
            );
        }
      }),
      { numRuns: 200 },
    );
  });

  it('hold the next task in their 80 % band as often as they say, from the first task of an unknown code to the hundredth', () => {
    let inside = 0;
    let all = 0;
    const few = { inside: 0, all: 0 };
    for (let mesh = 0; mesh < 500; mesh += 1) {
      const { uniform, normal } = randomOf(mesh);
      const codes = Array.from({ length: 12 }, (_, at) => {
        const category = ['image-processing', 'data-analysis', 'machine-learning'][at % 3]!;
        const perByte = Math.exp(-14 - 2 * (at % 3) + 1.3 * normal());
        const fixed = perByte * 10 ** (2 + 3 * uniform());
        const noise = 0.1 + 0.7 * uniform();
        const draw = (): ObservedTask => {
          const inputBytes = Math.round(10 ** (3 + 3 * uniform()));
          return [inputBytes, (fixed + perByte * inputBytes) * Math.exp(noise * normal()), null, 0];
        };
        const tasks = at === 0 ? mesh % 25 : 1 + Math.floor(40 * uniform());
        const sample = Array.from({ length: tasks }, draw);
        return { draw, profile: { engine: 'js', code: `code-${at}`, category, tasks, sample } };
      });
      const predict = predictTasks(codes.filter(({ profile: { tasks } }) => tasks > 0).map((each) => each.profile));
      for (let trial = 0; trial < 25; trial += 1) {
        const [inputBytes, actual] = codes[0]!.draw();
        const { q10, q90 } = predict({ ...codes[0]!.profile, inputBytes }).workSeconds!;
        const within = actual! > q10 && actual! < q90;
        all += 1;
        if (within) inside += 1;
        if (codes[0]!.profile.tasks > 2) continue;
        few.all += 1;
        if (within) few.inside += 1;
      }
    }
    const share = inside / all;
    assert.ok(share >= 0.77 && share <= 0.83, `${share}`);
    assert.ok(
      few.inside / few.all >= 0.68 && few.inside / few.all <= 0.9,
      `of unknown and new code ${few.inside / few.all}`,
    );
  });

  it('come to a code’s own truth, however far it is from its category, and whatever one in twenty of its tasks does', () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const { uniform, normal } = randomOf(seed);
      const others = Array.from({ length: 6 }, (_, at) => ({
        ...{ engine: 'js', code: `other-${at}`, category: 'data-analysis', tasks: 20 },
        sample: Array.from({ length: 20 }, (): ObservedTask => [1e5, 1e5 * 1e-8 * Math.exp(normal()), 1e6, 1e3]),
      }));
      const sample = Array.from({ length: 64 }, (_, at): ObservedTask => {
        const inputBytes = Math.round(10 ** (3 + 4 * uniform()));
        const work = (2 + 3e-5 * inputBytes) * Math.exp(0.2 * normal());
        return [inputBytes, at % 20 === 3 ? work * 1_000 : work, 5e7, 0.25 * inputBytes];
      });
      const own = { engine: 'js', code: 'own', category: 'data-analysis', tasks: 64, sample };
      for (const inputBytes of [1e3, 1e5, 1e7]) {
        const truth = 2 + 3e-5 * inputBytes;
        const found = predictTasks([...others, own])({ ...own, inputBytes });
        const { workSeconds, peakMemoryBytes, outputBytes, basis } = found;
        assert.equal(basis, 'own');
        assert.ok(Math.abs(Math.log(workSeconds!.q50 / truth)) < 0.25, `${workSeconds!.q50} for ${truth}`);
        assert.ok(workSeconds!.q90 / workSeconds!.q10 < 4, `${workSeconds!.q10} to ${workSeconds!.q90}`);
        assert.ok(Math.abs(workSeconds!.fixed / 2 - 1) < 0.5, `fixed ${workSeconds!.fixed}`);
        assert.ok(Math.abs(peakMemoryBytes!.q50 / 5e7 - 1) < 0.05, `${peakMemoryBytes!.q50}`);
        assert.ok(Math.abs(outputBytes!.q50 / (0.25 * inputBytes) - 1) < 0.1, `${outputBytes!.q50}`);
      }
    }
  });

  it('say what they rest on: own tasks, the category, all code, nothing', () => {
    const of = (code: string, category: string, tasks: number, work: number | null): CodeProfile => ({
      ...{ engine: 'js', code, category, tasks },
      sample: Array.from({ length: tasks }, (): ObservedTask => [1e6, work, 1e7, 1e3]),
    });
    const known = [
      of('fast', 'image-processing', 30, 1),
      of('faster', 'image-processing', 30, 2),
      of('slow', 'machine-learning', 30, 500),
    ];
    const predict = predictTasks(known);
    const ask = (code: string, category?: string, engine = 'js') =>
      predict({ engine, code, inputBytes: 1e6, ...(category === undefined ? {} : { category }) });
    assert.equal(ask('fast', 'image-processing').basis, 'own');
    const unknown = ask('new', 'image-processing');
    assert.deepEqual([unknown.basis, unknown.evidence], ['category', { tasks: 0, categoryCodes: 2, codes: 3 }]);
    assert.ok(unknown.workSeconds!.q50 > 0.5 && unknown.workSeconds!.q50 < 8, `${unknown.workSeconds!.q50}`);
    const uncategorised = ask('new');
    assert.deepEqual([uncategorised.basis, ask('new', 'never-heard-of').basis], ['all', 'all']);
    const width = ({ workSeconds: { q10, q90 } = { q10: 1, q90: 1 } }) => q90 / q10;
    assert.ok(width(ask('fast', 'image-processing')) < width(unknown) && width(unknown) < width(uncategorised));
    assert.deepEqual(ask('fast', undefined, 'wasm'), {
      basis: 'none',
      evidence: { tasks: 0, categoryCodes: 0, codes: 0 },
    });
    // Of a node whose speed nobody knows, the work is not known, all else is.
    const { workSeconds, peakMemoryBytes, basis } = predictTasks([of('own', 'x', 5, null)])({
      ...of('own', 'x', 5, 1),
      inputBytes: 1e6,
    });
    assert.deepEqual([workSeconds, basis], [undefined, 'own']);
    const farOff = predictTasks([of('own', 'x', 3, 1)])({ ...of('own', 'x', 3, 1), inputBytes: 1e12 });
    assert.deepEqual([farOff.basis, farOff.evidence.codes], ['own', 0]);
    assert.ok(peakMemoryBytes!.q50 > 0);
  });

  it('say whether anybody has seen how work grows with the input', () => {
    const of = (code: string, inputs: readonly number[], category = 'x'): CodeProfile => ({
      ...{ engine: 'js', code, category, tasks: inputs.length },
      sample: inputs.map((inputBytes) => [inputBytes, 11 + inputBytes * 1e-6, 1e7, 1]),
    });
    const nothing = of('reads nothing', [0, 0, 0, 0, 0, 0, 0, 0]);
    const large = of('reads much', Array(8).fill(1e6), 'y');
    const few = of('read little and much', [1e3, 1e7], 'y');
    const many = of('read of all sizes', [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e3, 1e6], 'z');
    const growth = (known: CodeProfile[], code: string, inputBytes: number, category = 'x') =>
      predictTasks(known)({ engine: 'js', code, category, inputBytes }).workSeconds!.growth;
    assert.equal(growth([nothing], 'new', 1.3e6), 'guessed');
    assert.equal(growth([nothing], 'new', 100), 'near');
    assert.deepEqual([growth([nothing], nothing.code, 0), growth([nothing], nothing.code, 1e5)], ['near', 'guessed']);
    // What other categories read is another matter, unless none of its own is known.
    assert.deepEqual(
      [growth([nothing, large], 'new', 1e6), growth([nothing, large], 'new', 1e6, '?')],
      ['guessed', 'near'],
    );
    assert.equal(growth([few], few.code, 1e9, 'y'), 'guessed', 'two tasks may differ for any reason');
    assert.equal(growth([many], many.code, 1e9, 'z'), 'seen');
    assert.equal(growth([nothing, many], 'new', 1e9), 'seen', 'of other code, which is as good as any');
    assert.equal(growth([nothing, many], nothing.code, 1e9), 'guessed', 'its own tasks do not tell');
  });

  it('see a profile anew when it has grown', () => {
    const sample: ObservedTask[] = [[1e6, 1, 1e7, 1]];
    const grown = { engine: 'js', code: 'own', tasks: 1, sample };
    const before = predictTasks([grown])({ ...grown, inputBytes: 1e6 }).workSeconds!;
    for (let at = 0; at < 20; at += 1) sample.push([1e6, 10, 1e7, 1]);
    grown.tasks = 21;
    const after = predictTasks([grown])({ ...grown, inputBytes: 1e6 }).workSeconds!;
    assert.ok(before.q50 < 1.2 && after.q50 > 8, `${before.q50} ${after.q50}`);
  });
});
