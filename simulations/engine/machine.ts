import type { Timers } from '@foremesh/node-runtime/wire';
import type { Chance } from './chance.ts';
import type { VirtualDisk } from './disk.ts';
import type { MachineClock } from './machine-clock.ts';

/** What outlives a process: the machine that it runs on. */
export interface Machine {
  /** Who it is in the mesh: another, once its disk was lost. */
  readonly id: string;
  /** Whose way to the broker it takes, whoever it is. */
  readonly hardware: string;
  readonly clock: MachineClock;
  readonly disk: VirtualDisk;
  readonly chance: Chance;
}

/** One life of a process: its timers end with it. */
export class Lifetime {
  readonly machine: Machine;
  ended = false;

  constructor(machine: Machine) {
    this.machine = machine;
  }

  /** After a time by the machine's clock, if the process still lives. */
  after(delayMs: number, run: () => void): void {
    this.machine.clock.after(delayMs, () => {
      if (!this.ended) run();
    });
  }

  /** For what comes from outside: waits while the machine is paused. */
  wrap<Rest extends unknown[]>(run: (...rest: Rest) => void): (...rest: Rest) => void {
    return (...rest) =>
      this.machine.clock.now(() => {
        if (!this.ended) run(...rest);
      });
  }

  /** For what speaks as a real process does: a turn of the event loop takes no time here. */
  readonly timers: Timers = {
    nowMs: () => this.machine.clock.nowMs,
    after: (delayMs, run) => {
      let isWanted = true;
      this.after(delayMs, () => {
        if (isWanted) run();
      });
      return {
        cancel: () => {
          isWanted = false;
        },
      };
    },
    nextTurn: (run) => this.after(0, run),
  };

  every(intervalMs: number, run: () => void): void {
    this.after(intervalMs, () => {
      run();
      this.every(intervalMs, run);
    });
  }
}
