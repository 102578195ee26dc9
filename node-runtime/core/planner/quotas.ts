import { type AccountQuota, limits, type Problem, type QuotaRow } from '../../contract/index.ts';
import type { JobPlan } from '../job-plan.ts';
import type { LedgerJob } from '../ledger.ts';
import { blobKeyOf, blobsOf, blobsOfPlan } from '../ledger-blobs.ts';
import type { JobView, PlannerState } from './state.ts';

/** How long what an account's blobs amount to counts: what it submits meanwhile is added to it. */
const storedForMs = 1_000;

/** How much an account may have: what an owner has said, else what every account may. */
function quotaOf({ ledger, config }: PlannerState, account: string): Record<keyof AccountQuota, number> {
  const { jobs, storedBytes, tasksAtOnce } = ledger.quotas.get(account) ?? {};
  return {
    jobs: jobs ?? limits.jobsPerAccount,
    storedBytes: storedBytes ?? config.storedBytesPerAccount,
    tasksAtOnce: tasksAtOnce ?? config.tasksAtOncePerAccount,
  };
}

/** What accounts have, and how much they may: of all that have anything or a quota of their own, or of those named. */
export function quotaRows(state: PlannerState, named?: readonly string[]): QuotaRow[] {
  const { quotas, jobs } = state.ledger;
  const jobsOf = new Map<string, LedgerJob[]>((named ?? [...quotas.keys()]).map((account) => [account, []]));
  for (const job of jobs.values()) {
    if (named === undefined && !jobsOf.has(job.account)) jobsOf.set(job.account, []);
    jobsOf.get(job.account)?.push(job);
  }
  return [...jobsOf].map(([account, ofAccount]) => {
    const own = quotas.get(account);
    const quota = quotaOf(state, account);
    const row = (name: keyof AccountQuota, used: number) => ({
      used,
      most: quota[name],
      isOwn: own?.[name] !== undefined,
    });
    return {
      account,
      jobs: row('jobs', openJobsOf(state, account)),
      storedBytes: row('storedBytes', blobsTogether(ofAccount).bytes),
      tasksAtOnce: row('tasksAtOnce', state.tasksAtOnce.get(account) ?? 0),
    };
  });
}

function openJobsOf(state: PlannerState, account: string): number {
  let open = 0;
  for (const key of [...state.jobs.keys(), ...state.accepting.keys()]) if (key.startsWith(`${account}/`)) open += 1;
  return open;
}

/** The command of an owner that gives an account more. */
function raisedBy(account: string, option: string): string {
  return `an owner of the mesh gives it more: \`foremesh quota ${account} ${option}\``;
}

/** What keeps an account from having one job more. */
export function quotaProblem(state: PlannerState, account: string, plan: JobPlan): Problem | undefined {
  const ofAccount = openJobsOf(state, account);
  const most = quotaOf(state, account).jobs;
  const all = state.jobs.size + state.accepting.size;
  const mend = 'wait for jobs to end, or cancel some';
  if (ofAccount >= most) {
    const message = `jobsPerAccount is ${most}, account ${account} has ${ofAccount} open`;
    return { code: 'MESH_QUOTA_EXCEEDED', message, mend: `${mend}; ${raisedBy(account, '--jobs N')}` };
  }
  if (all >= limits.jobsAtOnce)
    return { code: 'MESH_QUOTA_EXCEEDED', message: `jobsAtOnce is ${limits.jobsAtOnce}, ${all} are open`, mend };
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
  const most = quotaOf(state, account).storedBytes;
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
      mend: `wait for ended jobs to expire, and give jobs a shorter \`retention\`; ${raisedBy(account, '--bytes SIZE')}`,
    };
  }
  for (const key of added.keys()) stored.blobs.add(key);
  stored.bytes += addedBytes;
  return undefined;
}

function storedOf(state: PlannerState, account: string): { blobs: Set<string>; bytes: number; readonly atMs: number } {
  const known = state.stored.get(account);
  if (known !== undefined && state.nowMs - known.atMs < storedForMs) return known;
  const ofAccount = [...state.ledger.jobs.values()].filter((job) => job.account === account);
  const found = { ...blobsTogether(ofAccount), atMs: state.nowMs };
  for (const [other, { atMs }] of state.stored) if (state.nowMs - atMs >= storedForMs) state.stored.delete(other);
  state.stored.set(account, found);
  return found;
}

/** What the jobs name, each blob counted once. */
function blobsTogether(jobs: Iterable<LedgerJob>): { blobs: Set<string>; bytes: number } {
  const found = { blobs: new Set<string>(), bytes: 0 };
  for (const job of jobs) {
    for (const blob of blobsOf(job)) {
      const key = blobKeyOf(blob);
      if (found.blobs.has(key)) continue;
      found.blobs.add(key);
      found.bytes += blob.sizeBytes;
    }
  }
  return found;
}

/** How many more of its tasks may be assigned. */
export function tasksLeft(state: PlannerState, { key }: Pick<JobView, 'key'>): number {
  const account = accountOf(key);
  return Math.max(0, quotaOf(state, account).tasksAtOnce - (state.tasksAtOnce.get(account) ?? 0));
}

/** Why a task waits that its account may not have at a node now. */
export function tasksProblem(state: PlannerState, { key }: Pick<JobView, 'key'>): Problem | undefined {
  if (tasksLeft(state, { key }) > 0) return undefined;
  const account = accountOf(key);
  const has = state.tasksAtOnce.get(account) ?? 0;
  const message = `account ${account} has ${has} tasks at nodes, and may have ${quotaOf(state, account).tasksAtOnce} (tasksAtOncePerAccount)`;
  return { code: 'MESH_QUOTA_EXCEEDED', message, mend: `wait for some to end; ${raisedBy(account, '--tasks N')}` };
}

/** One more, or one less, of its tasks is assigned. */
export function countTask(state: PlannerState, { key }: Pick<JobView, 'key'>, change: 1 | -1): void {
  const account = accountOf(key);
  const count = (state.tasksAtOnce.get(account) ?? 0) + change;
  if (count === 0) state.tasksAtOnce.delete(account);
  else state.tasksAtOnce.set(account, count);
}

function accountOf(key: string): string {
  return key.slice(0, key.indexOf('/'));
}
