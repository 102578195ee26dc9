import type { CodeProfile, ObservedTask } from '@foremesh/models';
import { type CodeReference, limits, type Usage } from '../contract/index.ts';

/** What finished tasks of one code took, as the log remembers it. */
export interface LedgerProfile extends CodeProfile {
  readonly engine: CodeReference['engine'];
  category?: string;
  /** The job's account and the stage that it was last seen in. */
  account: string;
  stage: string;
  tasks: number;
  readonly sample: ObservedTask[];
}

/** A task that has been committed: the first time, and the only one, that its outcome is learned from. */
export interface FinishedTask extends Pick<LedgerProfile, 'account' | 'stage'> {
  readonly code: CodeReference;
  readonly category?: string;
  readonly usage: Usage;
  /** Of its node for the engine, as it was then; absent when nobody knew it, or the attempt did not do the whole work. */
  readonly speed?: number;
}

/**
 * Keeps what it took. Nothing is computed but a product, so that every voter comes to the same bits; what it means is for whoever
 * asks (models/profiles). The code that was not seen for longest makes room.
 */
export function learnTask(profiles: Map<string, LedgerProfile>, finished: FinishedTask): void {
  const { code, category, account, stage, usage, speed } = finished;
  const { cpuMs, peakMemoryBytes, inputBytes, outputBytes } = usage;
  const key = profileKeyOf(code);
  const profile: LedgerProfile = profiles.get(key) ?? {
    engine: code.engine,
    code: code.blob,
    account,
    stage,
    tasks: 0,
    sample: [],
  };
  profiles.delete(key);
  profiles.set(key, profile);
  if (category === undefined) delete profile.category;
  else profile.category = category;
  profile.account = account;
  profile.stage = stage;
  const workSeconds = (cpuMs / 1_000) * (speed ?? 0);
  const isKnown = workSeconds > 0 && Number.isFinite(workSeconds);
  const slot = slotOf(profile.tasks);
  if (slot < limits.tasksPerProfile)
    profile.sample[slot] = [
      inputBytes,
      isKnown ? workSeconds : null,
      peakMemoryBytes === 0 ? null : peakMemoryBytes,
      outputBytes,
    ];
  profile.tasks += 1;
  if (profiles.size > limits.profilesKept) profiles.delete(profiles.keys().next().value!);
}

export function profileKeyOf({ engine, blob }: Pick<CodeReference, 'engine' | 'blob'>): string {
  return `${engine}/${blob}`;
}

/**
 * Where a task goes after so many others; beyond the sample, nowhere. Of the first `profileWindowTasks` each is in the sample with
 * equal probability (Vitter 1985, algorithm R), after that older ones fade away, with that as their mean age (Aggarwal 2006). So one
 * large job does not wash out all that others have shown. Chance is a hash of the number: the same on every voter.
 */
function slotOf(tasksBefore: number): number {
  if (tasksBefore < limits.tasksPerProfile) return tasksBefore;
  return hashOf(tasksBefore) % Math.min(tasksBefore + 1, limits.profileWindowTasks);
}

/** The finalizer of MurmurHash3. */
function hashOf(number: number): number {
  let mixed = number >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

export function findProfilesFault(
  profiles: ReadonlyMap<string, LedgerProfile>,
  learnedTasks: number,
): string | undefined {
  let known = 0;
  for (const [key, { engine, code, tasks, sample }] of profiles) {
    known += tasks;
    if (key !== profileKeyOf({ engine, blob: code })) return `profile of ${code} is filed under ${key}`;
    if (sample.length !== Math.min(tasks, limits.tasksPerProfile))
      return `${sample.length} of ${tasks} tasks of ${key}`;
  }
  if (profiles.size > limits.profilesKept) return `${profiles.size} profiles`;
  // Only what makes room is forgotten.
  if (profiles.size < limits.profilesKept && known !== learnedTasks)
    return `learned from ${learnedTasks} tasks, and knows ${known}`;
  return undefined;
}
