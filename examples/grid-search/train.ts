import type { Task } from '@foremesh/node-runtime/task';
import { evaluate, parseSamples, type Score, type Settings } from './model.ts';

/** One combination of settings, judged on all samples. */
export default function task({ input, parameters, log }: Task<Settings>): Score {
  const score = evaluate(parseSamples(input.text()), parameters);
  log(`rate ${score.rate}, penalty ${score.penalty}: loss ${score.loss.toFixed(4)}`);
  return score;
}
