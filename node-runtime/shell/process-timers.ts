import type { Timer, Timers } from '../wire/index.ts';

/** By the clock and the event loop of this process. */
export const processTimers: Timers = {
  nowMs: () => performance.now(),
  after: (delayMs, run) => (delayMs > 0 ? timeout(delayMs, run) : soon(run)),
  nextTurn: (run) => void setImmediate(run),
};

function timeout(delayMs: number, run: () => void): Timer {
  const timer = setTimeout(run, delayMs);
  return { cancel: () => clearTimeout(timer) };
}

function soon(run: () => void): Timer {
  let isWanted = true;
  queueMicrotask(() => {
    if (isWanted) run();
  });
  return {
    cancel: () => {
      isWanted = false;
    },
  };
}
