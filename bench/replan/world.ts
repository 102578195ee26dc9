// The second world in PROTOCOL.md of the task graphs: a plan meets devices that slow down and leave, and work that is not what was estimated.
import type { SchedulingProblem } from '@foremesh/partitioner';
import { randomSource } from '../../partitioner/scheduling/random.ts';

const workSigma = 0.3;
const slowdown = 4;

/** The durations of the world, by the lower bound of the instance. */
export function worldTimes(lowerBoundSeconds: number) {
  return {
    fastSeconds: lowerBoundSeconds / 3,
    slowSeconds: lowerBoundSeconds / 9,
    slowRate: 1 / slowdown,
    lifeSeconds: 3 * lowerBoundSeconds,
    noticeSeconds: lowerBoundSeconds / 100,
    replanSeconds: lowerBoundSeconds / 40,
  };
}

export interface Attempt {
  readonly task: number;
  readonly device: number;
  readonly startSeconds: number;
}

/** What a policy sees. What of it needs foresight (speeds, who may leave) is marked. */
export interface ReplanView {
  readonly nowSeconds: number;
  readonly problem: SchedulingProblem;
  readonly times: ReturnType<typeof worldTimes>;
  readonly isDone: Uint8Array;
  /** Of tasks that are done. */
  readonly device: Int32Array;
  readonly startSeconds: Float64Array;
  readonly finishSeconds: Float64Array;
  readonly running: readonly Attempt[];
  readonly isGone: readonly boolean[];
  /** Expected over real seconds of the last task that a device has finished; 1 before that. */
  readonly measuredRate: readonly number[];
  /** Foresight: the share of its nominal speed that it gives now. */
  rateNow(device: number): number;
  /** Foresight: cost seconds done by an attempt so far. */
  progressSeconds(attempt: Attempt): number;
  /** Foresight: it may leave. */
  readonly mayLeave: readonly boolean[];
  /** Clairvoyance: its rates from now on, and when it leaves. */
  future(device: number): { readonly untilSeconds: number[]; readonly rates: number[]; readonly leavesSeconds: number };
}

export interface ReplanPolicy {
  /** Whether a new plan is wanted now; asked at most every `replanSeconds`, and after a leave (when it must be). */
  wantsPlan(view: ReplanView): boolean;
  /** Per device the tasks that have not started, in order. */
  plan(view: ReplanView): number[][];
  /** A running task that an idle device with an empty queue should run too. */
  copy?(view: ReplanView, device: number): number | undefined;
}

interface Machine {
  readonly leavesSeconds: number;
  readonly changes: number[];
  readonly draw: () => number;
}

/** Runs one instance under a policy: when everything was done, in seconds. */
export function finishUnderPolicy(
  problem: SchedulingProblem,
  lowerBound: number,
  policy: ReplanPolicy,
  seed: number,
): number {
  const { graph, devices, costSeconds, secondsPerByte } = problem;
  const times = worldTimes(lowerBound);
  const draw = randomSource(seed * 1_000_003 + devices);
  const exponential = (mean: number) => -mean * Math.log(1 - draw());
  const realWork = Float64Array.from({ length: graph.size }, () =>
    Math.exp(workSigma * Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw())),
  );
  // The even ones stay.
  const mayLeave = Array.from({ length: devices }, (_, device) => device % 2 === 1);
  const machines = mayLeave.map((may, device): Machine => {
    const leavesSeconds = may ? exponential(times.lifeSeconds) : Number.POSITIVE_INFINITY;
    return { leavesSeconds, changes: [], draw: randomSource(seed * 7_919 + device * 104_729 + devices) };
  });
  const changeTime = (machine: Machine, phase: number) => {
    while (machine.changes.length <= phase) {
      const mean = machine.changes.length % 2 === 0 ? times.fastSeconds : times.slowSeconds;
      machine.changes.push((machine.changes.at(-1) ?? 0) - mean * Math.log(1 - machine.draw()));
    }
    return machine.changes[phase]!;
  };
  const rateIn = (phase: number) => (phase % 2 === 0 ? 1 : times.slowRate);
  const phaseAt = (machine: Machine, at: number) => {
    let phase = 0;
    while (changeTime(machine, phase) <= at) phase += 1;
    return phase;
  };
  const realFinish = (device: number, start: number, cost: number) => {
    const machine = machines[device]!;
    let at = start;
    let left = cost;
    for (let phase = phaseAt(machine, start); ; phase += 1) {
      const until = changeTime(machine, phase);
      if ((until - at) * rateIn(phase) >= left) return at + left / rateIn(phase);
      left -= (until - at) * rateIn(phase);
      at = until;
    }
  };

  let now = 0;
  const isDone = new Uint8Array(graph.size);
  const device = new Int32Array(graph.size);
  const startSeconds = new Float64Array(graph.size);
  const finishSeconds = new Float64Array(graph.size);
  let running: (Attempt & { readonly endsSeconds: number })[] = [];
  const isGone = machines.map(() => false);
  const measuredRate = machines.map(() => 1);
  let queues: number[][] = machines.map(() => []);
  const view: ReplanView = {
    get nowSeconds() {
      return now;
    },
    get running() {
      return running;
    },
    problem,
    times,
    isDone,
    device,
    startSeconds,
    finishSeconds,
    isGone,
    measuredRate,
    mayLeave,
    rateNow: (on) => rateIn(phaseAt(machines[on]!, now)),
    progressSeconds: ({ device: on, startSeconds: began }) => {
      const machine = machines[on]!;
      let sum = 0;
      let at = began;
      for (let phase = phaseAt(machine, began); at < now; phase += 1) {
        const until = Math.min(now, changeTime(machine, phase));
        sum += (until - at) * rateIn(phase);
        at = until;
      }
      return sum;
    },
    future: (on) => {
      const machine = machines[on]!;
      const untilSeconds: number[] = [];
      const rates: number[] = [];
      const first = phaseAt(machine, now);
      for (let phase = first; phase < first + 60; phase += 1) {
        untilSeconds.push(changeTime(machine, phase));
        rates.push(rateIn(phase));
      }
      return { untilSeconds, rates: [...rates, 1], leavesSeconds: machine.leavesSeconds };
    },
  };
  const readyOn = (task: number, on: number) => {
    let ready = 0;
    for (let edge = graph.predecessorOffsets[task]!; edge < graph.predecessorOffsets[task + 1]!; edge += 1) {
      const before = graph.predecessors[edge]!;
      if (isDone[before] === 0) return Number.POSITIVE_INFINITY;
      const transfer = graph.predecessorBytes[edge]! * secondsPerByte[device[before]! * devices + on]!;
      ready = Math.max(ready, finishSeconds[before]! + transfer);
    }
    return ready;
  };
  const begin = (task: number, on: number) => {
    const ends = realFinish(on, now, costSeconds[task * devices + on]! * realWork[task]!);
    const survives = ends < machines[on]!.leavesSeconds;
    running.push({ task, device: on, startSeconds: now, endsSeconds: survives ? ends : Number.POSITIVE_INFINITY });
  };
  const isThere = (on: number) => !isGone[on] && now < machines[on]!.leavesSeconds;
  let wake = Number.POSITIVE_INFINITY;
  const dispatch = () => {
    wake = Number.POSITIVE_INFINITY;
    const busy = new Set(running.map((attempt) => attempt.device));
    for (let on = 0; on < devices; on += 1) {
      if (busy.has(on) || !isThere(on)) continue;
      const queue = queues[on]!;
      // A copy, or what was planned anew, may have been faster.
      while (queue.length > 0 && isDone[queue[0]!] === 1) queue.shift();
      const next = queue[0];
      if (next !== undefined) {
        const ready = readyOn(next, on);
        if (ready > now) wake = Math.min(wake, ready);
        else {
          queue.shift();
          begin(next, on);
        }
        continue;
      }
      const copied = policy.copy?.(view, on);
      if (copied !== undefined && readyOn(copied, on) <= now) begin(copied, on);
    }
  };
  const replan = () => {
    queues = policy.plan(view);
    lastPlan = now;
  };
  let lastPlan = 0;
  let nextTick = times.replanSeconds;
  const notices = machines
    .map(({ leavesSeconds }, on) => ({ on, atSeconds: leavesSeconds + times.noticeSeconds }))
    .filter(({ atSeconds }) => atSeconds < Number.POSITIVE_INFINITY)
    .sort((one, other) => one.atSeconds - other.atSeconds);
  replan();
  dispatch();
  let done = 0;
  while (done < graph.size) {
    const ending = running.reduce((least, attempt) => Math.min(least, attempt.endsSeconds), Number.POSITIVE_INFINITY);
    const notice = notices[0]?.atSeconds ?? Number.POSITIVE_INFINITY;
    now = Math.min(ending, notice, nextTick, wake);
    let mustPlan = false;
    if (now === notice) {
      const gone = notices.shift()!.on;
      isGone[gone] = true;
      running = running.filter((attempt) => attempt.device !== gone);
      mustPlan = true;
    } else if (now === ending) {
      const attempt = running.find(({ endsSeconds }) => endsSeconds === ending)!;
      const { task, device: on } = attempt;
      isDone[task] = 1;
      device[task] = on;
      startSeconds[task] = attempt.startSeconds;
      finishSeconds[task] = now;
      const cost = costSeconds[task * devices + on]!;
      if (cost > 0) measuredRate[on] = cost / (now - attempt.startSeconds);
      running = running.filter((each) => each.task !== task);
      done += 1;
    } else if (now === nextTick) nextTick += times.replanSeconds;
    if (mustPlan || (now - lastPlan >= times.replanSeconds * (1 - 1e-9) && policy.wantsPlan(view))) replan();
    dispatch();
  }
  return now;
}
