export {
  finishQuantile,
  type PlanKind,
  type PlanNode,
  type PlannedJob,
  type PlannedTask,
  type PlanRequest,
  type PlanTask,
  planJob,
  probabilityBy,
} from './plan-job.ts';
export { type CapacityBand, curveAt, deviationsFor, type Quantiles, spreadBy } from './uncertain.ts';
