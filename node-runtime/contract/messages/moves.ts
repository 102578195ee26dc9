import * as z from 'zod';
import { count } from './shared.ts';

/**
 * How a task is moved: `reassign`, before it begins; `restart`, begun anew, or from its last checkpoint, elsewhere; `resplit`, cut
 * anew; `live`, frozen, to go on elsewhere.
 */
export const moveKind = z.enum(['reassign', 'restart', 'resplit', 'live']);
export type MoveKind = z.infer<typeof moveKind>;

/** Tasks of a job that this leader has moved, of each kind that there was; absent when it has moved none. */
export const moveCounts = z.partialRecord(moveKind, count);
export type MoveCounts = z.infer<typeof moveCounts>;
