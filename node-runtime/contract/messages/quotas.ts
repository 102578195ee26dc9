import * as z from 'zod';
import { count, identifier } from './shared.ts';

/** What one account may have. What is left out is as for every account: `limits.jobsPerAccount` and the like. */
export const accountQuota = z
  .object({
    /** Jobs that have not ended. 0: it can submit none. */
    jobs: count,
    /** Bytes of the blobs that its jobs name, ended ones that are kept included, each counted once. */
    storedBytes: count,
    /** Tasks that are at nodes at the same time. */
    tasksAtOnce: count,
  })
  .partial();
export type AccountQuota = z.infer<typeof accountQuota>;

/** What is left out stays as it is; null goes back to what every account has. */
export const quotaChange = z
  .object({ jobs: count.nullable(), storedBytes: count.nullable(), tasksAtOnce: count.nullable() })
  .partial();
export type QuotaChange = z.infer<typeof quotaChange>;

/** `isOwn`: somebody has said so for this account. */
const use = z.object({ used: count, most: count, isOwn: z.boolean() });

export const quotaRow = z.object({ account: identifier, jobs: use, storedBytes: use, tasksAtOnce: use });
export type QuotaRow = z.infer<typeof quotaRow>;
