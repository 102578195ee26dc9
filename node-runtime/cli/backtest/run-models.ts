import { setImmediate } from 'node:timers/promises';
import type { BacktestOptions, BacktestScores, BacktestWindow, ForecasterFactory } from '@foremesh/models';

export interface Judged extends BacktestScores {
  readonly model: string;
  /** Of one forecast, with the values that were seen since the one before. */
  readonly forecastMs: number;
  readonly last: BacktestWindow;
}

export interface RunOptions extends BacktestOptions {
  readonly values: Float64Array;
  readonly models: ReadonlyMap<string, ForecasterFactory>;
  /** Called now and then: how much is done, 0 to 1, and which model is at it. */
  readonly onProgress: (fraction: number, model: string) => void;
}

/** Judges each model on the same windows; the best, by its pinball loss, first. */
export async function runModels({ values, models, onProgress, ...options }: RunOptions): Promise<Judged[]> {
  const { backtest, scoreBacktest } = await import('@foremesh/models');
  const judged: Judged[] = [];
  for (const [model, factory] of models) {
    const windows: BacktestWindow[] = [];
    let ms = 0;
    let startMs = performance.now();
    for (const window of backtest(factory, values, options)) {
      ms += performance.now() - startMs;
      windows.push(window);
      onProgress((judged.length + windows.length / options.origins.length) / models.size, model);
      await setImmediate(); // the terminal is drawn, and ^C heard
      startMs = performance.now();
    }
    judged.push({ model, ...scoreBacktest(windows, values), forecastMs: ms / windows.length, last: windows.at(-1)! });
  }
  return judged.sort((a, b) => a.meanPinballLoss - b.meanPinballLoss);
}
