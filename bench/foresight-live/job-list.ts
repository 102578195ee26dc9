import type { JobSpecInput } from '@foremesh/node-runtime/contract';
import { randomSource } from '../../partitioner/scheduling/random.ts';

/** One job of a list: chunks of as many lines, each of which takes the same CPU time. */
export interface PlannedJob {
  /** After the begin of the list. */
  readonly atMs: number;
  readonly lines: number;
}

const chunks = 3;
/** Some 50 ms per line on a server's core, in QuickJS. */
const roundsPerLine = 600_000;
const code = `export default async (task) => {
  let sum = 0;
  for await (const line of task.input) {
    const number = Number(line);
    for (let i = 0; i < ${roundsPerLine}; i++) sum = (sum * 5 + i + number) | 0;
  }
  return sum;
}`;
/** Lines are of one length, so that chunks of as many lines are of as many bytes. */
const firstLine = 1_000;

/** Jobs that come over `spanMs` about every `everyMs`, of about `chunkLines` lines a chunk: both differ by up to a quarter. */
export function jobList(seed: number, spanMs: number, everyMs: number, chunkLines: number): PlannedJob[] {
  const uniform = randomSource(seed);
  const about = (value: number) => value * (0.75 + 0.5 * uniform());
  const jobs: PlannedJob[] = [];
  for (let atMs = about(everyMs) / 2; atMs < spanMs; atMs += about(everyMs)) jobs.push(jobOf(atMs, about(chunkLines)));
  return jobs;
}

export function jobOf(atMs: number, chunkLines: number): PlannedJob {
  return { atMs, lines: chunks * Math.round(chunkLines) };
}

export function specOf(lines: number, deadlineSeconds?: number): JobSpecInput {
  const inline = Array.from({ length: lines }, (_, index) => `${firstLine + index}\n`).join('');
  return {
    ...(deadlineSeconds === undefined ? {} : { deadline: deadlineSeconds }),
    stages: { sums: { code: { inline: code }, input: { inline }, split: { by: 'lines', chunks } } },
  };
}

/** What such a job must give. */
export function sumsOf(lines: number): number[] {
  return Array.from({ length: chunks }, (_, chunk) => {
    let sum = 0;
    for (let line = 0; line < lines / chunks; line += 1) {
      const number = firstLine + (chunk * lines) / chunks + line;
      for (let i = 0; i < roundsPerLine; i += 1) sum = (sum * 5 + i + number) | 0;
    }
    return sum;
  });
}
