import { InvalidArgumentError } from 'commander';

const unitsMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `250ms`, `30s`, `5m`, `2h`, `7d`, in milliseconds. */
export function parseDuration(text: string): number {
  const [, value, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? [];
  if (value === undefined) throw new InvalidArgumentError('it looks like 30s, 5m or 2h.');
  return Math.round(Number(value) * unitsMs[unit as keyof typeof unitsMs]);
}
