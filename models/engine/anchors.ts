const ladder = [1, 2, 3, 5, 8, 12, 18, 24, 30] as const;

/** The steps ahead for which models are really asked, up to `steps`, which is always one of them: the others lie on lines between. */
export function anchorsUpTo(steps: number): number[] {
  const anchors: number[] = ladder.filter((each) => each < steps);
  while (anchors.length >= ladder.length && anchors.at(-1)! * 1.5 < steps)
    anchors.push(Math.ceil(anchors.at(-1)! * 1.5));
  return [...anchors, steps];
}

/** Farther steps are scored at every third value alone: what follows each other there says nearly the same, and waits long. */
const everyValueMost = 12;
const farStride = 3;

/** Forecasts for `anchor` steps ahead are kept and scored after every so many-th value; a divisor of `anchor`. */
export function strideOf(anchor: number): number {
  return anchor > everyValueMost && anchor % farStride === 0 ? farStride : 1;
}

/** Where step `step` lies among `anchors`: between `index` and the next one, `share` of the way. */
export function placeOf(anchors: readonly number[], step: number): { readonly index: number; readonly share: number } {
  const last = anchors.length - 1;
  if (step >= anchors[last]!) return { index: last, share: 0 };
  let index = 0;
  while (anchors[index + 1]! <= step) index += 1;
  if (step <= anchors[index]!) return { index, share: 0 };
  return { index, share: (step - anchors[index]!) / (anchors[index + 1]! - anchors[index]!) };
}
