import { limits, type Problem } from '../../contract/index.ts';
import type { JobPlan } from '../job-plan.ts';
import type { PlannerState } from './state.ts';

/** What keeps an account from having one job more. */
export function quotaProblem(state: PlannerState, account: string, plan?: JobPlan): Problem | undefined {
  let ofAccount = 0;
  for (const key of [...state.jobs.keys(), ...state.accepting.keys()])
    if (key.startsWith(`${account}/`)) ofAccount += 1;
  const all = state.jobs.size + state.accepting.size;
  const exceeded = (name: string, limit: number, found: string): Problem => ({
    code: 'MESH_QUOTA_EXCEEDED',
    message: `${name} is ${limit}, ${found} open`,
    mend: 'wait for jobs to end, or cancel some',
  });
  if (ofAccount >= limits.jobsPerAccount)
    return exceeded('jobsPerAccount', limits.jobsPerAccount, `account ${account} has ${ofAccount}`);
  if (all >= limits.jobsAtOnce) return exceeded('jobsAtOnce', limits.jobsAtOnce, `${all} are`);
  if (plan?.schedule === undefined) return undefined;
  let schedules = 0;
  for (const { key, schedule } of state.jobs.values())
    if (schedule !== undefined && key.startsWith(`${account}/`)) schedules += 1;
  return schedules < limits.schedulesPerAccount
    ? undefined
    : exceeded('schedulesPerAccount', limits.schedulesPerAccount, `account ${account} has ${schedules} schedules`);
}
