/** The states of a task while a leader plans it (DESIGN: tasks and attempts). */
export type TaskState = 'waiting' | 'ready' | 'assigned' | 'running' | 'moving' | 'done' | 'failed' | 'cancelled';

/** Every legal `(from, to)`. Anything else is a bug and throws with the task's story. */
const transitions: Readonly<Record<TaskState, readonly TaskState[]>> = {
  // `done` from waiting or ready: it is in the log, or an attempt that an earlier leader made reports.
  waiting: ['ready', 'done', 'failed', 'cancelled'],
  ready: ['assigned', 'running', 'done', 'failed', 'cancelled'],
  assigned: ['running', 'ready', 'done', 'failed', 'cancelled'],
  running: ['moving', 'ready', 'done', 'failed', 'cancelled'],
  moving: ['running', 'ready', 'done', 'failed', 'cancelled'],
  done: [],
  failed: [],
  cancelled: [],
};

const storyLength = 24;

/** A task's last events, oldest first: what an error message shows. */
export type Story = string[];

export function tell(story: Story, line: string): void {
  story.push(line);
  if (story.length > storyLength) story.shift();
}

export function isLegalTransition(from: TaskState, to: TaskState): boolean {
  return transitions[from].includes(to);
}

/** Moves `task` to a state, or throws with its story. */
export function transition(
  task: { state: TaskState; readonly key: string; readonly story: Story },
  to: TaskState,
  why: string,
): void {
  if (!isLegalTransition(task.state, to)) {
    throw new Error(
      `MESH_ILLEGAL_TRANSITION: ${task.key}: ${task.state} -> ${to} (${why}); story: ${task.story.join(' | ')}`,
    );
  }
  tell(task.story, `${task.state} -> ${to}: ${why}`);
  task.state = to;
}
