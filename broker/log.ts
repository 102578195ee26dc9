/** What the broker needs of a logger; pino has it. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const silent: Log = { info() {}, warn() {}, error() {} };

/**
 * Counts what is refused or dropped, and logs it at most `linesPerWindow` times per kind and window: a storm of bad
 * clients must not fill a disk. What was left out is told with the next line of its kind.
 */
export class Incidents {
  readonly log: Log;
  readonly #linesPerWindow: number;
  readonly #windowMs: number;
  readonly #kinds = new Map<string, { total: number; lines: number; omitted: number; windowStartMs: number }>();

  constructor(log: Log | undefined, linesPerWindow: number, windowMs: number) {
    this.log = log ?? silent;
    this.#linesPerWindow = linesPerWindow;
    this.#windowMs = windowMs;
  }

  /** `kind` is one of a fixed set (it becomes a counter); what varies goes into `fields`. */
  report(kind: string, fields: object, message: string, level: 'warn' | 'error' = 'warn'): void {
    const nowMs = performance.now();
    let entry = this.#kinds.get(kind);
    if (entry === undefined) {
      entry = { total: 0, lines: 0, omitted: 0, windowStartMs: nowMs };
      this.#kinds.set(kind, entry);
    }
    entry.total += 1;
    if (nowMs - entry.windowStartMs > this.#windowMs) {
      entry.windowStartMs = nowMs;
      entry.lines = 0;
    }
    if (entry.lines >= this.#linesPerWindow) {
      entry.omitted += 1;
      return;
    }
    entry.lines += 1;
    const omitted = entry.omitted === 0 ? {} : { omitted: entry.omitted };
    entry.omitted = 0;
    this.log[level]({ kind, ...fields, ...omitted }, message);
  }

  /** How often each kind happened since the start. */
  counts(): Record<string, number> {
    return Object.fromEntries([...this.#kinds].map(([kind, { total }]) => [kind, total]));
  }
}
