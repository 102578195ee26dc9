export {
  type PlanKind,
  type PlanNode,
  type PlannedJob,
  type PlannedTask,
  type PlanRequest,
  type PlanTask,
  planJob,
} from './plan-job.ts';
