import type { Task } from '@foremesh/node-runtime/task';
import { addFlight, type Cell, type Cells } from './statistics.ts';

const flightsPerReport = 100;

/** The cells of one range of flights. */
export default async function map(task: Pick<Task, 'input' | 'progress'>): Promise<Cell[]> {
  const cells: Cells = new Map();
  let done = 0;
  for await (const flight of task.input) {
    addFlight(cells, flight);
    done += 1;
    if (done % flightsPerReport === 0) task.progress(done / task.input.length);
  }
  return [...cells.values()];
}
