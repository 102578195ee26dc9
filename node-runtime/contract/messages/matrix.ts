import * as z from 'zod';
import { limits } from '../limits.ts';
import { bytesOf } from '../text.ts';
import { identifier } from './shared.ts';

/** Values by the names of parameters: a stage has a task for each combination, the last name changing fastest. */
export const matrix = z
  .record(identifier, z.array(z.json()).min(1).max(limits.tasksPerStage))
  .superRefine((value, context) => {
    const report = (message: string) => context.addIssue({ code: 'custom', message });
    if (Object.keys(value).length === 0) return report('a matrix needs at least one parameter');
    const combinations = combinationsOf(value);
    if (combinations > limits.tasksPerStage) {
      report(`tasksPerStage is ${limits.tasksPerStage}, and this has ${combinations} combinations`);
    }
    const bytes = bytesOf(JSON.stringify(value)).length;
    if (bytes > limits.inlineBytes) report(`inlineBytes is ${limits.inlineBytes}, and this has ${bytes}`);
  });
export type Matrix = z.infer<typeof matrix>;

/** How many combinations of one value of each parameter there are. */
export function combinationsOf(values: Matrix): number {
  return Object.values(values).reduce((product, each) => product * each.length, 1);
}

/** Combination `number`, from 0. */
export function combinationOf(values: Matrix, number: number): Record<string, Matrix[string][number]> {
  const chosen: [string, Matrix[string][number]][] = [];
  let rest = number;
  for (const [name, each] of Object.entries(values).reverse()) {
    chosen.push([name, each[rest % each.length]!]);
    rest = Math.floor(rest / each.length);
  }
  return Object.fromEntries(chosen.reverse());
}
