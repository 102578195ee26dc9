import type { Checkpoint } from '../contract/index.ts';
import type { JobCommand, LedgerEvent } from './ledger-commands.ts';

/** What the log knows of the state of a task that is not done. */
export interface CheckpointedTask {
  readonly failures: readonly { readonly attempt: string }[];
  /** The latest that counts: whoever runs the task next goes on from it. */
  checkpoint?: Checkpoint;
  /** The attempt that the first one is of: any other may have gone on from it. */
  checkpointedBy?: string;
}

/**
 * A checkpoint counts when it is further than the one before. States of two attempts of one task may come in any order; each
 * is whole, so the further one wins, whoever made it.
 */
export function countCheckpoint(
  task: CheckpointedTask,
  key: string,
  command: JobCommand & { type: 'count-checkpoint' },
): LedgerEvent {
  const { checkpoint, attempt } = command;
  const dropped = (reason: string): LedgerEvent => ({ type: 'dropped', command, reason });
  // What it failed from may be in its state.
  if (task.failures.some((failure) => failure.attempt === attempt)) return dropped('its attempt has failed');
  if (checkpoint.sequence <= (task.checkpoint?.sequence ?? 0)) return dropped('a later one counts');
  task.checkpoint = checkpoint;
  task.checkpointedBy ??= attempt;
  return { type: 'checkpoint-counted', key, task: command.task, attempt, checkpoint };
}

/** Nobody can go on from it: what is left is to begin anew. */
export function dropCheckpoint(
  task: CheckpointedTask,
  key: string,
  command: JobCommand & { type: 'drop-checkpoint' },
): LedgerEvent {
  const { blob } = command;
  if (task.checkpoint?.state.blob !== blob) return { type: 'dropped', command, reason: 'it does not count' };
  delete task.checkpoint;
  return { type: 'checkpoint-dropped', key, task: command.task, blob };
}
