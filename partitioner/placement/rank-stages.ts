import { buildTaskGraph } from '../graph/task-graph.ts';
import { upwardRanks } from '../scheduling/ranks.ts';

/** A stage of a job: what one of its tasks takes, and the stages it needs, by their place. */
export interface RankedStage {
  readonly seconds: number;
  readonly needs: readonly number[];
}

/** The upward rank of each stage: the longest way from it to the end of the job, itself included, in seconds. Throws `GraphError`. */
export function rankStages(stages: readonly RankedStage[]): Float64Array {
  const ids = stages.map((_, stage) => String(stage));
  const edges = stages.flatMap(({ needs }, stage) =>
    needs.map((need) => ({ from: String(need), to: String(stage), sizeBytes: 0 })),
  );
  const costSeconds = Float64Array.from(stages, ({ seconds }) => seconds);
  return upwardRanks({
    graph: buildTaskGraph(ids, edges),
    devices: 1,
    costSeconds,
    secondsPerByte: Float64Array.of(0),
  });
}
