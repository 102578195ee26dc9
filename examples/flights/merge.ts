import type { Task } from '@foremesh/node-runtime/task';
import { addCells, type Cell, type Cells, type Row, toRows } from './statistics.ts';

/** The table, from the cells of all ranges. */
export default function merge({ parts }: Pick<Task, 'parts'>): Row[] {
  const cells: Cells = new Map();
  for (const part of parts) addCells(cells, part as Cell[]);
  return toRows(cells);
}
