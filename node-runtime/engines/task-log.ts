import { limits } from '../contract/limits.ts';

/**
 * The log of one task inside its limits: a line that is too long is cut, lines beyond the most are counted and told at the end
 * in the last line's place.
 */
export class TaskLog {
  private readonly linesMost: number;
  private pending: string[] = [];
  private taken = 0;
  private last: string | undefined;
  private dropped = 0;

  constructor(linesMost: number = limits.logLinesPerTask) {
    this.linesMost = linesMost;
  }

  add(line: string): void {
    const { logLineCharacters } = limits;
    if (this.taken === this.linesMost) {
      this.dropped++;
      return;
    }
    const cut = line.length > logLineCharacters ? `${line.slice(0, logLineCharacters - 3)}...` : line;
    this.taken++;
    if (this.taken === this.linesMost) this.last = cut;
    else this.pending.push(cut);
  }

  get size(): number {
    return this.pending.length;
  }

  /** What has come since the last time; with the last line, or how many were dropped, when the task has ended. */
  take(ended: boolean): string[] {
    const lines = this.pending;
    this.pending = [];
    if (ended && this.last !== undefined) {
      lines.push(this.dropped === 0 ? this.last : `(${this.dropped + 1} more lines were dropped)`);
    }
    return lines;
  }
}
