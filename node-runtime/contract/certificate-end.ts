const dayMs = 86_400_000;
const warnedDays = [1, 7, 30] as const;

/** How long before an end that nothing puts off a person is warned: 30, 7, 1 days. The least that has been reached. */
export function warnedDaysBefore(leftMs: number): 1 | 7 | 30 | undefined {
  return warnedDays.find((days) => leftMs <= days * dayMs);
}
