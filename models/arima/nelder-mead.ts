/**
 * Minimizes by the simplex of Nelder and Mead (1965): deterministic, without derivatives. `evaluate` may give Infinity (not NaN).
 * Ends after `evaluationsMost` or when the simplex differs by less than `tolerance`, relatively.
 */
export function nelderMead(
  evaluate: (point: readonly number[]) => number,
  start: readonly number[],
  { size = 0.4, evaluationsMost = 300, tolerance = 1e-7 } = {},
): number[] {
  const at = (point: number[]) => ({ point, value: evaluate(point) });
  const simplex = [at([...start]), ...start.map((_, axis) => at(start.map((x, i) => (i === axis ? x + size : x))))];
  const byValue = () => simplex.sort((a, b) => a.value - b.value);
  let evaluations = simplex.length;
  byValue();
  while (evaluations < evaluationsMost && start.length > 0) {
    const worst = simplex.at(-1)!;
    const best = simplex[0]!;
    if (worst.value - best.value <= tolerance * Math.abs(best.value)) break;
    const others = simplex.slice(0, -1);
    const along = (factor: number) =>
      worst.point.map((x, i) => {
        const center = others.reduce((sum, { point }) => sum + point[i]!, 0) / others.length;
        return center + factor * (center - x);
      });
    let next = at(along(1));
    evaluations += 1;
    if (next.value < best.value) {
      const farther = at(along(2));
      evaluations += 1;
      if (farther.value < next.value) next = farther;
    } else if (next.value >= others.at(-1)!.value) {
      next = at(along(next.value < worst.value ? 0.5 : -0.5));
      evaluations += 1;
    }
    if (next.value < worst.value) simplex[simplex.length - 1] = next;
    else {
      for (const [index, { point }] of simplex.entries())
        if (index > 0) simplex[index] = at(point.map((x, i) => (x + best.point[i]!) / 2));
      evaluations += start.length;
    }
    byValue();
  }
  return simplex[0]!.point;
}
