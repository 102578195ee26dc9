import type { Task } from '@foremesh/node-runtime/task';
import { rank, type Score } from './model.ts';

export default function choose({ parts }: Pick<Task, 'parts'>) {
  return rank(parts as Score[]);
}
