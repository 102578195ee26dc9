export interface Timer {
  cancel(): void;
}

/** A clock that never goes back, and what is done later by it: of a process, or of a simulated one. */
export interface Timers {
  /** Milliseconds since any one moment. */
  nowMs(): number;
  /** With 0: as soon as what is being done now is done. */
  after(delayMs: number, run: () => void): Timer;
  /** When also all that was to be done soon is done: the next turn of the event loop. */
  nextTurn(run: () => void): void;
}
