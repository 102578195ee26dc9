// M4 Hourly (Makridakis, Spiliotis and Assimakopoulos 2020): 414 series, a day of 24 steps, two days to forecast.
import { join } from 'node:path';
import { readCsv } from '../forecast/traces.ts';

export const season = 24;
export const horizon = 48;

export interface M4Series {
  readonly name: string;
  readonly training: Float64Array;
  readonly actual: Float64Array;
}

export function readHourly(folder: string): M4Series[] {
  const [training, actual] = ['train', 'test'].map((part) => {
    const { rows } = readCsv(join(folder, 'm4', `Hourly-${part}.csv.gz`));
    return new Map(rows.map(([name, ...cells]) => [name!, numbers(cells)]));
  });
  return [...training!].map(([name, values]) => {
    const future = actual!.get(name);
    if (future?.length !== horizon) throw new Error(`M4 ${name}: ${future?.length ?? 0} test values, not ${horizon}`);
    return { name, training: values, actual: future };
  });
}

const numbers = (cells: readonly string[]) =>
  Float64Array.from(
    cells.filter((cell) => cell !== '' && cell !== 'NA'),
    Number,
  );

export interface Accuracy {
  readonly smape: number;
  readonly mase: number;
}

/** Accuracy of the methods that took part, by the name that the table has for them. */
export function readAccuracies(folder: string): ReadonlyMap<string, Accuracy & { readonly owa: number }> {
  const { rows } = readCsv(join(folder, 'm4', 'hourly_accuracy_table.csv'));
  return new Map(
    rows.map(([method, smape, mase, owa]) => [method!, { smape: Number(smape), mase: Number(mase), owa: Number(owa) }]),
  );
}

/** Symmetric mean absolute percentage error, as M4 has it: 0 to 200. */
export function smapeOf(actual: Float64Array, forecast: ArrayLike<number>): number {
  const sum = actual.reduce((total, value, step) => {
    const size = Math.abs(value) + Math.abs(forecast[step]!);
    return size === 0 ? total : total + (200 * Math.abs(value - forecast[step]!)) / size;
  }, 0);
  return sum / actual.length;
}

/** Overall weighted average: of the two ratios to the accuracy of `naive2`. */
export const owaOf = ({ smape, mase }: Accuracy, naive2: Accuracy) => (smape / naive2.smape + mase / naive2.mase) / 2;
