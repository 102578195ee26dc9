import type { Task } from '@foremesh/node-runtime/task';
import { addSummary, emptySummary, reportOf, type Summary } from './analysis.ts';

export default function report({ parts }: Pick<Task, 'parts'>) {
  const sum = emptySummary();
  for (const part of parts as Summary[]) addSummary(sum, part);
  return reportOf(sum);
}
