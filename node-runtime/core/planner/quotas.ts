import { limits, type Problem } from '../../contract/index.ts';
import type { JobPlan } from '../job-plan.ts';
import { blobKeyOf, blobsOf, blobsOfPlan } from '../ledger-blobs.ts';
import type { JobView, PlannerState } from './state.ts';

/** How long what an account's blobs amount to counts: what it submits meanwhile is added to it. */
const storedForMs = 1_000;

/** What keeps an account from having one job more. */
export function quotaProblem(state: PlannerState, account: string, plan: JobPlan): Problem | undefined {
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
  return storedProblem(state, account, plan);
}

/** What keeps it from having one schedule more. */
export function scheduleQuotaProblem(state: PlannerState, account: string): Problem | undefined {
  let schedules = 0;
  for (const { key, schedule } of state.jobs.values())
    if (schedule !== undefined && key.startsWith(`${account}/`)) schedules += 1;
  if (schedules < limits.schedulesPerAccount) return undefined;
  const message = `schedulesPerAccount is ${limits.schedulesPerAccount}, account ${account} has ${schedules} schedules open`;
  return { code: 'MESH_QUOTA_EXCEEDED', message, mend: 'cancel some' };
}

function storedProblem(state: PlannerState, account: string, plan: JobPlan): Problem | undefined {
  const most = state.config.storedBytesPerAccount;
  const stored = storedOf(state, account);
  const added = new Map<string, number>();
  for (const blob of blobsOfPlan(plan))
    if (!stored.blobs.has(blobKeyOf(blob))) added.set(blobKeyOf(blob), blob.sizeBytes);
  const addedBytes = [...added.values()].reduce((sum, bytes) => sum + bytes, 0);
  if (stored.bytes + addedBytes > most) {
    const message = `storedBytesPerAccount is ${most}, account ${account} has ${stored.bytes} bytes in the blobs of its jobs, and this one adds ${addedBytes}`;
    return {
      code: 'MESH_QUOTA_EXCEEDED',
      message,
      mend: 'wait for ended jobs to expire, and give jobs a shorter `retention`',
    };
  }
  for (const key of added.keys()) stored.blobs.add(key);
  stored.bytes += addedBytes;
  return undefined;
}

function storedOf(state: PlannerState, account: string): { blobs: Set<string>; bytes: number; readonly atMs: number } {
  const known = state.stored.get(account);
  if (known !== undefined && state.nowMs - known.atMs < storedForMs) return known;
  const found = { blobs: new Set<string>(), bytes: 0, atMs: state.nowMs };
  for (const job of state.ledger.jobs.values()) {
    if (job.account !== account) continue;
    for (const blob of blobsOf(job)) {
      const key = blobKeyOf(blob);
      if (found.blobs.has(key)) continue;
      found.blobs.add(key);
      found.bytes += blob.sizeBytes;
    }
  }
  for (const [other, { atMs }] of state.stored) if (state.nowMs - atMs >= storedForMs) state.stored.delete(other);
  state.stored.set(account, found);
  return found;
}

/** How many more of its tasks may be assigned. */
export function tasksLeft(state: PlannerState, { key }: Pick<JobView, 'key'>): number {
  return Math.max(0, state.config.tasksAtOncePerAccount - (state.tasksAtOnce.get(accountOf(key)) ?? 0));
}

/** One more, or one less, of its tasks is assigned. */
export function countTask(state: PlannerState, { key }: Pick<JobView, 'key'>, change: 1 | -1): void {
  const account = accountOf(key);
  const count = (state.tasksAtOnce.get(account) ?? 0) + change;
  if (count === 0) state.tasksAtOnce.delete(account);
  else state.tasksAtOnce.set(account, count);
}

export function accountOf(key: string): string {
  return key.slice(0, key.indexOf('/'));
}
