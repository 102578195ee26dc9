import assert from 'node:assert/strict';
import { createLeaderForesight, type Forecaster } from '@foremesh/models';

const intervalMs = 60_000;
const range = { low: 0, high: 1 };

/** The engine of a leader, and a node in a small mesh whose others rest. */
function mesh(others: number): { readonly node: Forecaster; observe(value: number, rest: () => number): void } {
  const foresight = createLeaderForesight({ steps: 30, learnedKinds: ['cpu'], arimaSeriesMost: 64 });
  const open = (key: string) => foresight.open({ key, kind: 'cpu', intervalMs, range });
  const node = open('node');
  const resting = Array.from({ length: others }, (_, index) => open(`other-${index}`));
  return {
    node,
    observe(value, rest) {
      node.observe(value);
      for (const each of resting) each.observe(rest());
      if (foresight.learningDue) for (const _ of foresight.learn());
    },
  };
}

/** Gaussian noise from a seed (Box and Muller 1958). */
function noiseOf(seed: number): () => number {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state + 1) / (2 ** 32 + 1);
  };
  return () => Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next());
}

const within = (value: number) => Math.min(range.high, Math.max(range.low, value));

describe('the engine: what comes again', function () {
  this.timeout(120_000);

  for (const period of [20, 50, 120, 288, 720])
    for (const busyShare of [0.1, 0.25, 0.5])
      it(`expects the third busy time of a machine that is busy for ${100 * busyShare} % of ${period} steps`, () => {
        const noise = noiseOf(11 + period);
        const idle = Math.round(period * (1 - busyShare));
        const busy = period - idle;
        const lead = Math.min(10, Math.floor(idle / 2));
        const { node, observe } = mesh(2);
        for (let at = 0; at < 2 * period + idle - lead; at += 1)
          observe(within((at % period >= idle ? 0.9 : 0.05) + 0.03 * noise()), () => within(0.05 + 0.03 * noise()));
        const { q50 } = node.forecast(30);
        assert.ok(q50[lead + Math.min(30 - lead - 1, Math.floor(busy / 2))]! > 0.5, q50.join(' '));
      });
});

describe('the engine: what changes for good', function () {
  this.timeout(120_000);

  for (const [deviation, age, to] of [
    [0.01, 120, 0.8],
    [0.03, 1_440, 0.8],
    [0.03, 1_440, 0.05],
    [0.1, 120, 0.8],
    [0.1, 1_440, 0.8],
  ] as const)
    for (const others of [0, 2])
      it(`has followed from 0.3 to ${to} within 6 values, near and far, ${age} values of noise ${deviation} before, ${others} others`, () => {
        const noise = noiseOf(5 + age);
        const { node, observe } = mesh(others);
        const value = (level: number) => within(level + deviation * noise());
        for (let at = 0; at < age; at += 1) observe(value(0.3), () => value(0.3));
        for (let at = 0; at < 6; at += 1) observe(value(to), () => value(0.3));
        const { q50 } = node.forecast(30);
        for (const step of [1, 5, 12, 30])
          assert.ok((q50[step - 1]! - 0.3) / (to - 0.3) >= 0.8 - deviation / 0.25, `step ${step}: ${q50[step - 1]}`);
      });

  for (const [name, low] of [
    ['a network', 0],
    ['a file of numbers of any sign', Number.NEGATIVE_INFINITY],
  ] as const)
    for (const [from, to] of [
      [20, 60],
      [60, 20],
    ] as const)
      it(`has followed from ${from} to ${to} of ${name} within 6 values, near and far, though its range is open`, () => {
        const noise = noiseOf(7);
        const foresight = createLeaderForesight({ steps: 30, learnedKinds: [], arimaSeriesMost: 0 });
        const open = { low, high: Number.POSITIVE_INFINITY };
        const node = foresight.open({ key: 'node', kind: 'network', intervalMs, range: open });
        const observe = (level: number) => {
          node.observe(level + 2 * noise());
          if (foresight.learningDue) for (const _ of foresight.learn());
        };
        for (let at = 0; at < 400; at += 1) observe(from);
        for (let at = 0; at < 6; at += 1) observe(to);
        const { q50 } = node.forecast(30);
        for (const step of [1, 5, 12, 30])
          assert.ok((q50[step - 1]! - from) / (to - from) >= 0.8, `step ${step}: ${q50[step - 1]}`);
      });

  it('takes a spike of two values for none', () => {
    const noise = noiseOf(3);
    const { node, observe } = mesh(0);
    for (let at = 0; at < 600; at += 1) observe(within(0.3 + 0.02 * noise()), () => 0);
    observe(0.9, () => 0);
    observe(0.9, () => 0);
    const { q50 } = node.forecast(30);
    assert.ok(q50[29]! < 0.45, `${q50[29]}`);
  });

  it('learns of bursts that end that they do', () => {
    const noise = noiseOf(4);
    const { node, observe } = mesh(0);
    // Bursts of 8 values, too seldom to be remembered as levels, at no regular times.
    let next = 400;
    let at = 0;
    const burst = (length: number) => {
      for (let each = 0; each < length; each += 1) observe(within(0.9 + 0.02 * noise()), () => 0);
    };
    for (let bursts = 0; bursts < 12; bursts += 1) {
      for (; at < next; at += 1) observe(within(0.1 + 0.02 * noise()), () => 0);
      burst(8);
      next += 350 + 37 * ((bursts * 5) % 7);
    }
    for (; at < next; at += 1) observe(within(0.1 + 0.02 * noise()), () => 0);
    burst(4);
    const { q50 } = node.forecast(30);
    assert.ok(q50[29]! < 0.5, `in the thirteenth, ${q50[29]} is expected for half an hour later`);
  });
});
