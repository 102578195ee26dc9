import type { Task } from '@foremesh/node-runtime/task';
import { addLine, emptySummary, type Summary } from './analysis.ts';

/** The sums of some lines. */
export default async function count({ input }: Pick<Task, 'input'>): Promise<Summary> {
  const summary = emptySummary();
  for await (const text of input) addLine(summary, text);
  return summary;
}
