import type { AttemptView, TaskView } from './state.ts';

/** What a leader knows of the moves of its leadership. */
export interface MovesState {
  /** Moves since then. */
  sinceMs: number;
  made: number;
  /** Attempts that their nodes were asked to give back. */
  readonly leaving: Set<AttemptView>;
  /** Tasks that rather waited for better; some have begun, or ended, since. */
  readonly awaiting: Set<TaskView>;
}

export function createMovesState(): MovesState {
  return { sinceMs: Number.NEGATIVE_INFINITY, made: 0, leaving: new Set(), awaiting: new Set() };
}
