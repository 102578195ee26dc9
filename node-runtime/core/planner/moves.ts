import type { Move, Overload, Stay, Way } from '@foremesh/partitioner';
import { limits, type WhyMove } from '../../contract/index.ts';
import { tell } from '../task-states.ts';
import { splitAnew } from './chunks.ts';
import { toldCost } from './costs.ts';
import { assign, deviceOf, placeable } from './dispatch.ts';
import type { PlannerEffect } from './events.ts';
import type { AttemptView, Choice, NodeView, PlannerState, TaskView } from './state.ts';
import { forgetAttempt, makeReady } from './tasks.ts';

/** How long an answer of a node, or of the log, is waited for before a task may be moved again. */
const answerWaitMs = 10_000;

/** How many moves may still be made in this interval. */
export function movesLeft({ moves, config, nowMs }: PlannerState): number {
  if (nowMs - moves.sinceMs >= config.movesIntervalMs) Object.assign(moves, { sinceMs: nowMs, made: 0 });
  return config.movesPerInterval - moves.made;
}

/** Slots of a node for what others were asked to give back, and for what waits for them. */
export function slotsPromised(state: PlannerState, { status }: NodeView): number {
  let promised = 0;
  for (const attempt of state.moves.leaving) {
    const { leaving } = attempt;
    const isOver = leaving === undefined || !state.attempts.has(attempt.key);
    if (isOver || state.nowMs - leaving.askedMs > answerWaitMs) {
      // No answer, whatever became of it: it may be asked for again.
      state.moves.leaving.delete(attempt);
      delete attempt.leaving;
    } else if (leaving.to === status.node) promised += 1;
  }
  for (const task of state.moves.awaiting) {
    const { held, job } = task;
    if (held === undefined || task.state !== 'ready' || state.jobs.get(job.key) !== job)
      state.moves.awaiting.delete(task);
    else if (held.waitsFor?.device === status.node) promised += 1;
  }
  return promised;
}

/** What has not started is asked for, since it may have by now; what runs is stopped, and begins elsewhere. */
export function perform(
  state: PlannerState,
  attempt: AttemptView,
  move: Move,
  devices: readonly Choice['device'][],
  effects: PlannerEffect[],
): void {
  const { kind, to } = move.move;
  const leaving = { to: to[0]!.device, move, choice: choiceOf(move, devices), askedMs: state.nowMs };
  const reason = `it goes to ${leaving.to}: ${overloadText(move.overload)}`.slice(0, limits.reasonCharacters);
  const { task, node, key } = attempt;
  // Where nobody here knows where its records begin they are asked for: a later look finds them.
  if (kind === 'resplit' && !splitAnew(state, task, sizesOf(task, move), effects)) return;
  state.moves.made += 1;
  if (kind === 'restart') {
    effects.push({ type: 'send', node, message: { type: 'cancel', attempt: key, reason } });
    goElsewhere(state, attempt, leaving, effects);
    return;
  }
  if (kind === 'live') throw new Error(`${key}: a move of kind ${kind} was offered by nobody`);
  attempt.leaving = leaving;
  state.moves.leaving.add(attempt);
  if (kind === 'resplit') return;
  tell(task.story, `${key} is asked back: ${reason}`);
  effects.push({ type: 'send', node, message: { type: 'reclaim', attempt: key, reason } });
}

/** Of all parts but the last, which is what is left. */
function sizesOf({ ledger }: TaskView, { move: { to } }: Move): number[] {
  return to.slice(0, -1).map(({ share }) => Math.max(1, Math.round(share * ledger.range!.records)));
}

/** The log has new parts in the place of a task: the move that this was, if it was one. */
export function followRetired(task: TaskView, effects: PlannerEffect[]): Move | undefined {
  for (const { leaving } of task.attempts) {
    if (leaving?.move.move.kind !== 'resplit') continue;
    tellMove(task, leaving.move, effects);
    return leaving.move;
  }
  return undefined;
}

/** Why it is where it is; and it stays for a while. */
export function noteMoved({ nowMs }: PlannerState, task: TaskView, decision: Move): void {
  task.movedMs = nowMs;
  task.decided = { atMs: nowMs, decision };
}

/** Counted, and told to people. */
function tellMove(task: TaskView, move: Move, effects: PlannerEffect[]): string {
  const { job, ledger } = task;
  const { kind, to } = move.move;
  job.moves = { ...job.moves, [kind]: (job.moves?.[kind] ?? 0) + 1 };
  const text = `${overloadText(move.overload)} -> ${ledger.task} to ${to.map(({ device }) => device).join(', ')}`;
  const event = {
    kind: 'task-moved',
    severity: 'info' as const,
    text: text.slice(0, 1_000),
    fields: fieldsOf(task, move),
  };
  effects.push({ type: 'event', event });
  return text;
}

/** Its node gives back what it was asked for. */
export function hearReclaimed(state: PlannerState, attempt: AttemptView, effects: PlannerEffect[]): void {
  const { leaving } = attempt;
  if (leaving !== undefined) goElsewhere(state, attempt, leaving, effects);
}

function goElsewhere(
  state: PlannerState,
  attempt: AttemptView,
  { to, move, choice }: NonNullable<AttemptView['leaving']>,
  effects: PlannerEffect[],
): void {
  const { task, node: from, key } = attempt;
  task.withdrawn ??= new Set();
  task.withdrawn.add(key);
  state.moves.leaving.delete(attempt);
  forgetAttempt(state, attempt);
  task.avoidUntilMs.set(from, state.nowMs + state.config.moveCoolDownMs);
  noteMoved(state, task, move);
  makeReady(state, task, `${key} leaves ${from}: ${tellMove(task, move, effects)}`);
  if (hasRoom(state, task, to)) assign(state, to, task, choice, effects);
}

/** It may have been taken, or be gone: then the task goes wherever there is room. */
function hasRoom(state: PlannerState, task: TaskView, to: string): boolean {
  const node = state.nodes.get(to);
  if (node?.confirmed !== true) return false;
  const [placement] = state.policy.place([placeable(state, task)], [deviceOf(state, node, task.stage)]);
  return placement !== undefined && 'device' in placement;
}

function fieldsOf(task: TaskView, { from, overload, move: { kind, to, gainSeconds, chargeSeconds } }: Move) {
  const [account = '', job = ''] = task.job.key.split('/');
  return {
    ...{ account, job, task: task.ledger.task, from, to: to.map(({ device }) => device), kind },
    ...{ because: overload.because, inSeconds: rounded(overload.inSeconds) },
    ...{ gainSeconds: rounded(gainSeconds), chargeSeconds: rounded(chargeSeconds) },
  };
}

/** The devices that it could have gone to, and where it was, as they were then. */
function choiceOf({ from, stay, alternatives }: Move, devices: readonly Choice['device'][]): Choice[] {
  const ways = alternatives.map(({ to, expected }) => ({ name: to[0]!.device, expected }));
  return [...ways, { name: from, expected: stay }].map(({ name, expected }) => ({
    device: devices.find(({ device }) => device === name)!,
    expected,
  }));
}

/** It was looked at, and stays where it is. */
export function noteStay(state: PlannerState, { task }: AttemptView, stay: Stay): void {
  // What it was moved for is why it is there.
  if (task.decided === undefined || !('move' in task.decided.decision))
    task.decided = { atMs: state.nowMs, decision: stay };
}

const overloadTexts: Record<Overload['because'], string> = {
  'busy-now': 'is busy',
  'busy-soon': 'will be busy',
  late: 'is late',
  queue: 'has more than it has slots for',
};

function overloadText({ device, because, inSeconds }: Overload): string {
  return `${device} ${overloadTexts[because]}${inSeconds > 0 ? ` in ${Math.round(inSeconds)} s` : ''}`;
}

const stayTexts: Partial<Record<Stay['why'], string>> = {
  'would-not-pay': 'no move would gain more than it costs',
  'no-device': 'no other node has room for it',
  budget: 'enough has moved for now',
  'cool-down': 'it has moved but now, or a leader before may have moved it',
  ending: 'it has ended, or is on its way',
  copied: 'it runs elsewhere as well',
};

/** What was decided of a task, for whoever asks why. */
export function whyMoveOf({ nowMs }: PlannerState, { decided }: TaskView): WhyMove | undefined {
  if (decided === undefined) return undefined;
  const { atMs, decision } = decided;
  const { overload, from, stay, alternatives } = decision;
  const why = 'move' in decision ? '' : `; ${stayTexts[decision.why] ?? decision.why}`;
  return {
    decision: 'move' in decision ? 'moved' : 'stays',
    agoMs: Math.max(0, Math.round(nowMs - atMs)),
    from,
    text: overloadText(overload) + why,
    stay: toldCost(stay),
    alternatives: alternatives.slice(0, limits.moveAlternatives).map(wayOf),
  };
}

function wayOf({ kind, to, expected, gainSeconds, chargeSeconds }: Way): WhyMove['alternatives'][number] {
  return {
    kind,
    to: to.map(({ device }) => device),
    cost: toldCost(expected),
    gainSeconds: rounded(gainSeconds),
    chargeSeconds: rounded(chargeSeconds),
  };
}

/** To milliseconds; what never ends as the largest number that every reader knows. */
function rounded(seconds: number): number {
  return Number.isFinite(seconds) ? Math.round(seconds * 1_000) / 1_000 : Math.sign(seconds) * Number.MAX_SAFE_INTEGER;
}
