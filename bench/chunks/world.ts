// The world of chunks in PROTOCOL.md of the task graphs: devices of unsteady speed ask for pieces of one stage, and may leave.
import { randomSource } from '../../partitioner/scheduling/random.ts';

export type Scenario = 'calm' | 'drift' | 'churn';

const items = 4_000;
const coefficientOfVariation = 0.5;
export const overheadSeconds = 0.2;
const itemBytes = 50e3;
const fastSeconds = 60;
const slowSeconds = 20;
const slowdown = 4;
export const meanLifeSeconds = 400;
const noticeSeconds = 5;

export interface Chunk {
  readonly from: number;
  readonly to: number;
  /** Devices that run it, the first one first. */
  readonly devices: number[];
  readonly startedSeconds: number;
  isDone: boolean;
}

/** What a policy sees. */
export interface View {
  readonly nowSeconds: number;
  readonly devices: number;
  /** Noticed to have left. */
  readonly gone: readonly boolean[];
  /** Items per second by what its calibration says: off by a factor. */
  readonly guess: readonly number[];
  /** Items and seconds of computing that each has finished. */
  readonly done: readonly { items: number; seconds: number }[];
  readonly transferSecondsPerItem: readonly number[];
  /** Items that nobody has. */
  readonly remaining: number;
  readonly running: readonly Chunk[];
}

/** Items to take, a chunk to run too, or undefined to wait. */
export type Policy = (view: View, asking: number) => number | Chunk | undefined;

interface Machine {
  readonly speed: number;
  readonly leavesSeconds: number;
  /** Times at which its speed changes: full first. */
  readonly changes: number[];
  readonly draw: () => number;
}

/** Runs one stage under a policy made anew; returns its finishing time over the ideal. */
export function score(makePolicy: () => Policy, scenario: Scenario, devices: number, seed: number): number {
  const draw = randomSource(seed * 1_000_003 + devices);
  const normal = () => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
  const exponential = (mean: number) => -mean * Math.log(1 - draw());
  const sigma = Math.sqrt(Math.log(1 + coefficientOfVariation ** 2));
  const workUpTo = new Float64Array(items + 1);
  for (let item = 0; item < items; item += 1)
    workUpTo[item + 1] = workUpTo[item]! + Math.exp(sigma * normal() - sigma ** 2 / 2);
  const machines: Machine[] = [];
  const guess: number[] = [];
  const transferSecondsPerItem: number[] = [];
  for (let device = 0; device < devices; device += 1) {
    const speed = 8 ** draw();
    guess.push(speed * Math.exp(0.5 * normal()));
    transferSecondsPerItem.push(itemBytes / (1e6 * 100 ** draw()));
    const leavesSeconds = scenario === 'churn' && device > 0 ? exponential(meanLifeSeconds) : Number.POSITIVE_INFINITY;
    machines.push({ speed, leavesSeconds, changes: [], draw: randomSource(seed * 7_919 + device * 104_729 + devices) });
  }
  const drifts = scenario !== 'calm';

  const ideal = idealSeconds(machines, workUpTo[items]!, drifts);
  const policy = makePolicy();
  const pool: { from: number; to: number }[] = [{ from: 0, to: items }];
  const running: Chunk[] = [];
  const gone = machines.map(() => false);
  const done = machines.map(() => ({ items: 0, seconds: 0 }));
  const idle = new Set(machines.keys());
  type Event = { readonly atSeconds: number; readonly device: number; readonly chunk?: Chunk; readonly began?: number };
  const events: Event[] = [];
  for (const [device, { leavesSeconds }] of machines.entries())
    if (leavesSeconds < Number.POSITIVE_INFINITY) events.push({ atSeconds: leavesSeconds + noticeSeconds, device });
  let now = 0;
  let left = items;

  const start = (device: number, chunk: Chunk) => {
    const began = now + overheadSeconds + (chunk.to - chunk.from) * transferSecondsPerItem[device]!;
    const work = workUpTo[chunk.to]! - workUpTo[chunk.from]!;
    const ends = finishSeconds(machines[device]!, began, work, drifts);
    idle.delete(device);
    if (ends < machines[device]!.leavesSeconds) events.push({ atSeconds: ends, device, chunk, began });
  };
  const ask = () => {
    for (const device of [...idle].sort((one, other) => one - other)) {
      if (now >= machines[device]!.leavesSeconds) continue;
      const remaining = pool.reduce((sum, { from, to }) => sum + to - from, 0);
      const view = { nowSeconds: now, devices, gone, guess, done, transferSecondsPerItem, remaining, running };
      const answer = policy(view, device);
      if (answer === undefined) continue;
      if (typeof answer !== 'number') {
        answer.devices.push(device);
        start(device, answer);
        continue;
      }
      if (remaining === 0) continue;
      const range = pool[0]!;
      const to = Math.min(range.to, range.from + Math.max(1, Math.floor(answer)));
      const chunk = { from: range.from, to, devices: [device], startedSeconds: now, isDone: false };
      if (to === range.to) pool.shift();
      else range.from = to;
      running.push(chunk);
      start(device, chunk);
    }
  };
  ask();
  while (left > 0) {
    let first = 0;
    for (let at = 1; at < events.length; at += 1) if (events[at]!.atSeconds < events[first]!.atSeconds) first = at;
    const event = events.splice(first, 1)[0];
    if (event === undefined) throw new Error('nothing is left to happen, but the stage is not done');
    now = event.atSeconds;
    const { device, chunk, began } = event;
    if (chunk === undefined) {
      gone[device] = true;
      idle.delete(device);
      for (const each of running.filter(({ devices: on }) => on.includes(device))) {
        each.devices.splice(each.devices.indexOf(device), 1);
        if (each.devices.length > 0) continue;
        running.splice(running.indexOf(each), 1);
        pool.unshift({ from: each.from, to: each.to });
      }
    } else if (!chunk.isDone && chunk.devices.includes(device)) {
      chunk.isDone = true;
      running.splice(running.indexOf(chunk), 1);
      const count = chunk.to - chunk.from;
      left -= count;
      done[device]!.items += count;
      done[device]!.seconds += now - began!;
      // Whoever ran it too is told to stop.
      for (const each of chunk.devices) idle.add(each);
    }
    ask();
  }
  return now / ideal;
}

/** When a machine that begins at `began` has done so much work. */
function finishSeconds(machine: Machine, began: number, work: number, drifts: boolean): number {
  if (!drifts) return began + work / machine.speed;
  let at = began;
  let left = work;
  for (let phase = phaseAt(machine, began); ; phase += 1) {
    const speed = phase % 2 === 0 ? machine.speed : machine.speed / slowdown;
    const until = changeTime(machine, phase);
    if (at + left / speed <= until) return at + left / speed;
    left -= (until - at) * speed;
    at = until;
  }
}

/** The end of a phase: even ones are fast. */
function changeTime(machine: Machine, phase: number): number {
  const { changes, draw } = machine;
  while (changes.length <= phase) {
    const mean = changes.length % 2 === 0 ? fastSeconds : slowSeconds;
    changes.push((changes.at(-1) ?? 0) - mean * Math.log(1 - draw()));
  }
  return changes[phase]!;
}

function phaseAt(machine: Machine, at: number): number {
  let phase = 0;
  while (changeTime(machine, phase) <= at) phase += 1;
  return phase;
}

/** When all of them together would have done the work, were it divisible and free to hand out: by halving. */
function idealSeconds(machines: readonly Machine[], work: number, drifts: boolean): number {
  const doneBy = (at: number) =>
    machines.reduce((sum, machine) => sum + workBy(machine, Math.min(at, machine.leavesSeconds), drifts), 0);
  let low = 0;
  let high = 1;
  while (doneBy(high) < work) high *= 2;
  for (let step = 0; step < 60; step += 1) {
    const middle = (low + high) / 2;
    if (doneBy(middle) < work) low = middle;
    else high = middle;
  }
  return high;
}

function workBy(machine: Machine, until: number, drifts: boolean): number {
  if (!drifts) return until * machine.speed;
  let sum = 0;
  let from = 0;
  for (let phase = 0; from < until; phase += 1) {
    const to = Math.min(until, changeTime(machine, phase));
    sum += (to - from) * (phase % 2 === 0 ? machine.speed : machine.speed / slowdown);
    from = to;
  }
  return sum;
}
