import type { PlanAnswer } from '../../contract/index.ts';

export interface LaneTask {
  readonly task: string;
  readonly stage: string;
  readonly startMs: number;
  readonly finishMs: number;
  readonly isMerge: boolean;
}

/** What one slot of a node does, in order of time. */
export interface Lane {
  readonly title: string;
  readonly tasks: readonly LaneTask[];
}

/** pi-2 before pi-10. */
const collator = new Intl.Collator('en', { numeric: true });
const byName = (one: string, other: string) => collator.compare(one, other);

/** A lane for each slot that has something to do, those of a node together; what runs already has one of its own. */
export function lanesOf({ tasks }: PlanAnswer): Lane[] {
  const lanes = new Map<string, { node: string; slot: number; tasks: LaneTask[] }>();
  for (const { task, stage, node, slot, startMs, finishMs } of tasks) {
    // Each that runs already is alone in its slot, and comes before those that follow there.
    const key = slot === undefined ? `${node} ${task}` : `${node} ${slot}`;
    const lane = lanes.get(key) ?? { node, slot: slot ?? -1, tasks: [] };
    lane.tasks.push({ task, stage, startMs, finishMs, isMerge: task === `${stage}-merge` });
    lanes.set(key, lane);
  }
  const sorted = [...lanes.values()].sort((one, other) => byName(one.node, other.node) || one.slot - other.slot);
  return sorted.map(({ node, slot, tasks: own }) => ({
    title: slot < 0 ? `${node} runs` : `${node} ${slot + 1}`,
    tasks: own.sort((one, other) => one.startMs - other.startMs),
  }));
}

/** Until the last task ends; at least a moment. */
export function spanMsOf({ tasks }: PlanAnswer): number {
  return Math.max(1, ...tasks.map(({ finishMs }) => finishMs));
}

const steps = [1, 2, 5, 10, 15, 30];
const units = [1, 10, 100, 1_000, 60_000, 3_600_000];

/** Round times from 0 on, at most so many. */
export function ticksOf(spanMs: number, most: number): number[] {
  const candidates = units.flatMap((unit) => steps.map((step) => unit * step)).sort((one, other) => one - other);
  const everyMs = candidates.find((each) => spanMs / each <= most) ?? spanMs;
  return Array.from({ length: Math.floor(spanMs / everyMs) + 1 }, (_, index) => index * everyMs);
}
