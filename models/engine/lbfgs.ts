/** Pairs of steps and gradient changes that stand for the curvature. */
const memory = 8;
const tolerance = 1e-6;

/** Writes the gradient at `at` and returns the value. */
export type Objective = (at: Float64Array, gradient: Float64Array) => number;

/** Limited-memory BFGS with backtracking (Liu and Nocedal 1989): for smooth convex functions of some dozens of variables. */
export function minimise(objective: Objective, start: Float64Array, iterationsMost: number): Float64Array {
  const size = start.length;
  let at = start.slice();
  let gradient = new Float64Array(size);
  let value = objective(at, gradient);
  const steps: Float64Array[] = [];
  const changes: Float64Array[] = [];
  for (let iteration = 0; iteration < iterationsMost; iteration += 1) {
    const direction = descent(gradient, steps, changes);
    const slope = dot(direction, gradient);
    if (!(slope < 0)) break;
    const first = steps.length === 0 ? Math.min(1, 1 / Math.sqrt(-slope)) : 1;
    const found = backtrack(objective, at, value, direction, slope, first);
    if (found === undefined) break;
    const step = found.at.map((each, index) => each - at[index]!);
    const change = found.gradient.map((each, index) => each - gradient[index]!);
    if (dot(step, change) > 0) {
      steps.push(step);
      changes.push(change);
      if (steps.length > memory) {
        steps.shift();
        changes.shift();
      }
    }
    const gained = value - found.value;
    at = found.at;
    gradient = found.gradient;
    value = found.value;
    if (gained <= tolerance * Math.max(Math.abs(value), tolerance)) break;
  }
  return at;
}

function backtrack(
  objective: Objective,
  from: Float64Array,
  value: number,
  direction: Float64Array,
  slope: number,
  first: number,
) {
  for (let length = first; length > 1e-8; length /= 2.5) {
    const at = from.map((each, index) => each + length * direction[index]!);
    const gradient = new Float64Array(from.length);
    const reached = objective(at, gradient);
    if (reached <= value + 1e-4 * length * slope) return { at, gradient, value: reached };
  }
  return undefined;
}

/** The two-loop recursion. */
function descent(
  gradient: Float64Array,
  steps: readonly Float64Array[],
  changes: readonly Float64Array[],
): Float64Array {
  const direction = gradient.map((each) => -each);
  const shares: number[] = [];
  for (let pair = steps.length - 1; pair >= 0; pair -= 1) {
    const share = dot(steps[pair]!, direction) / dot(steps[pair]!, changes[pair]!);
    shares[pair] = share;
    add(direction, changes[pair]!, -share);
  }
  const newest = steps.length - 1;
  if (newest >= 0) {
    const scale = dot(steps[newest]!, changes[newest]!) / dot(changes[newest]!, changes[newest]!);
    for (let index = 0; index < direction.length; index += 1) direction[index]! *= scale;
  }
  for (let pair = 0; pair < steps.length; pair += 1) {
    const back = dot(changes[pair]!, direction) / dot(steps[pair]!, changes[pair]!);
    add(direction, steps[pair]!, shares[pair]! - back);
  }
  return direction;
}

function dot(left: Float64Array, right: Float64Array): number {
  let sum = 0;
  for (let index = 0; index < left.length; index += 1) sum += left[index]! * right[index]!;
  return sum;
}

function add(target: Float64Array, source: Float64Array, factor: number): void {
  for (let index = 0; index < target.length; index += 1) target[index]! += factor * source[index]!;
}
