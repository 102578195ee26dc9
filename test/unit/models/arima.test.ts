import assert from 'node:assert/strict';
import {
  ArimaFilter,
  type ArimaModel,
  type ArimaOrder,
  arima,
  type FitArima,
  fitByConditionalSquares,
} from '@foremesh/models';
import { loadArima } from '@foremesh/node-runtime/shell';
import { keepsForecasterContract } from '../../support/forecaster-contract.ts';
import { randomOf } from '../../support/generated.ts';

let fitExactly: FitArima;
before(async () => {
  fitExactly = await loadArima();
});

keepsForecasterContract('arima', () => arima({ fit: fitExactly, windowValues: 96, refitValues: 40 }));
keepsForecasterContract('arima by conditional squares', () =>
  arima({ fit: fitByConditionalSquares, windowValues: 96, refitValues: 40 }),
);

/** A series of an ARMA(1,1) with a season, from a seed. */
function simulate({
  ar,
  ma,
  mean = 0,
  seasonalAr = 0,
  period = 1,
  length = 400,
  seed = 1,
}: Record<string, number>): Float64Array {
  const { normal } = randomOf(seed!);
  const values: number[] = [];
  let before = 0;
  for (let index = 0; index < length! + 100; index += 1) {
    const at = (lag: number) => values[index - lag] ?? 0;
    const error = normal();
    values.push(ar! * at(1) + seasonalAr! * (at(period!) - ar! * at(period! + 1)) + error + ma! * before);
    before = error;
  }
  return Float64Array.from(values.slice(100), (value) => value + mean!);
}

const close = (one: number, other: number, most: number) =>
  assert.ok(Math.abs(one - other) <= most, `${one} is not within ${most} of ${other}`);

describe('arima: fits', () => {
  const plain: ArimaOrder = { p: 1, d: 0, q: 1 };

  it('find the coefficients that a series was made with', () => {
    const values = simulate({ ar: 0.8, ma: -0.4, mean: 30, length: 2_000 });
    for (const how of [fitExactly, fitByConditionalSquares]) {
      const model = how(values, plain)!;
      close(model.autoregressive[1]!, -0.8, 0.05);
      close(model.movingAverage[1]!, -0.4, 0.07);
      close(model.mean, 30, 0.3);
      close(model.variance, 1, 0.07);
    }
  });

  it('agree with each other: exact likelihood by the package, conditional squares by us', () => {
    const orders: ArimaOrder[] = [plain, { p: 0, d: 1, q: 1 }, { p: 2, d: 0, q: 1 }, { p: 2, d: 0, q: 0 }];
    const seasonal = { period: 12, p: 1, d: 0, q: 0 };
    for (const order of [...orders, { ...plain, seasonal }]) {
      const values = simulate({
        ar: 0.7,
        ma: -0.2,
        seasonalAr: order.seasonal ? 0.5 : 0,
        period: 12,
        mean: 5,
        length: 600,
      });
      const exact = fitExactly(values, order)!;
      const conditional = fitByConditionalSquares(values, order)!;
      close(exact.variance, conditional.variance, 0.05);
      const [one, other] = [exact, conditional].map((model) => forecastOf(model, values, 24));
      for (const [step, mean] of one!.means.entries()) close(mean, other!.means[step]!, 0.15);
    }
  });

  it('do not depend on the unit of the series', () => {
    const values = simulate({ ar: 0.8, ma: -0.4, length: 288 });
    const small = fitExactly(values, plain)!;
    const large = fitExactly(
      values.map((value) => 1e9 * value + 5e10),
      plain,
    )!;
    close(large.autoregressive[1]!, small.autoregressive[1]!, 1e-3);
    close(Math.sqrt(large.variance) / 1e9, Math.sqrt(small.variance), 1e-3);
    close((large.mean - 5e10) / 1e9, small.mean, 1e-2);
  });

  it('give nothing for a series that bears no model', () => {
    for (const how of [fitExactly, fitByConditionalSquares]) {
      assert.equal(how(new Float64Array(100).fill(3), plain), undefined);
      assert.equal(how(Float64Array.of(1, 2, 3), plain), undefined);
      assert.equal(how(new Float64Array(100).fill(Number.NaN), plain), undefined);
    }
  });

  it('print nothing, though the package does when it fails', () => {
    const steep = Float64Array.from({ length: 288 }, (_, index) => 2 ** (index / 3));
    const failing: ArimaOrder[] = [
      { p: 2, d: 1, q: 2 },
      { p: 1, d: 0, q: 0, seasonal: { period: 12, p: 0, d: 1, q: 1 } },
    ];
    const { write } = process.stdout;
    const printed: unknown[] = [];
    process.stdout.write = (text: unknown) => printed.push(text) > 0;
    try {
      for (const order of failing) fitExactly(steep, order);
    } finally {
      process.stdout.write = write;
    }
    assert.deepEqual(printed, []);
    assert.ok(!Object.hasOwn(console.log, 'bind'), 'console.log is not as it was');
  });
});

function forecastOf(model: ArimaModel, values: Float64Array, steps: number) {
  const filter = new ArimaFilter(model);
  for (const value of values) filter.push(value);
  return filter.forecast(steps);
}

describe('arima: the filter', () => {
  const model: ArimaModel = {
    order: { p: 1, d: 0, q: 1 },
    autoregressive: [1, -0.8],
    movingAverage: [1, -0.3],
    mean: 10,
    variance: 4,
  };

  it('forecasts as the textbook does', () => {
    const filter = new ArimaFilter(model);
    filter.push(12);
    const { means, variances } = filter.forecast(3);
    // The first value is an error of 2; then 0.8 * 2 - 0.3 * 2, and 0.8 of it each step.
    for (const [step, mean] of [11, 10.8, 10.64].entries()) close(means[step]!, mean, 1e-12);
    // Impulse response 1, 0.5, 0.4.
    for (const [step, variance] of [4, 5, 5.64].entries()) close(variances[step]!, variance, 1e-12);
  });

  it('is as unsure after a gap as it was before of the same step', () => {
    const [whole, gapped] = [new ArimaFilter(model), new ArimaFilter(model)];
    for (const filter of [whole, gapped]) for (const value of [12, 9, 13]) filter.push(value);
    const ahead = whole.forecast(8);
    for (let step = 0; step < 5; step += 1) gapped.push(Number.NaN);
    const { means, variances } = gapped.forecast(3);
    for (let step = 0; step < 3; step += 1) {
      close(means[step]!, ahead.means[5 + step]!, 1e-12);
      close(variances[step]!, ahead.variances[5 + step]!, 1e-12);
    }
  });
});

describe('arima: the forecaster', () => {
  it('chooses a seasonal order where there is a season', () => {
    const { normal } = randomOf(3);
    const wave = (index: number) => 50 + 20 * Math.sin((2 * Math.PI * index) / 20) + 15 * (index % 20 === 7 ? 1 : 0);
    const model = arima({ fit: fitExactly, refitValues: 100 })({ intervalMs: 1_000, range: { low: 0, high: 100 } });
    const values = Array.from({ length: 480 }, (_, index) => wave(index) + 2 * normal());
    for (const value of values) model.observe(value);
    const { q10, q50, q90 } = model.forecast(20);
    let held = 0;
    for (let step = 0; step < 20; step += 1) {
      const truth = wave(480 + step);
      assert.ok(Math.abs(q50[step]! - truth) < 6, `step ${step + 1}: ${q50[step]} instead of ${truth}`);
      if (q10[step]! < truth && truth < q90[step]!) held += 1;
    }
    assert.ok(held >= 16, `${held} of 20 within the bands`);
  });

  it('has bands that hold 80 % of what comes', () => {
    let [held, all] = [0, 0];
    for (let seed = 1; seed <= 20; seed += 1) {
      const values = simulate({ ar: 0.9, ma: -0.3, mean: 50, length: 700, seed });
      const model = arima({ fit: fitExactly, order: { p: 1, d: 0, q: 1 } })({
        intervalMs: 1_000,
        range: { low: 0, high: 100 },
      });
      for (const [index, value] of values.entries()) {
        model.observe(value);
        if (index < 300 || index % 50 !== 0) continue;
        const { q10, q90 } = model.forecast(12);
        for (let step = 0; step < 12; step += 1) {
          const truth = values[index + 1 + step];
          if (truth === undefined) continue;
          all += 1;
          if (q10[step]! < truth && truth < q90[step]!) held += 1;
        }
      }
    }
    assert.ok(held / all > 0.75 && held / all < 0.85, `${held} of ${all}`);
  });
});
