/** What `leader-process.ts` is told, as JSON in its first argument. */
export interface FleetOrder {
  readonly nodes: number;
  /** Of each node: CPU, memory and network in, or, as a leader has it, network out as a fourth. */
  readonly series: 3 | 4;
  /** Values that each series has before anything is measured, and refreshes that are measured. */
  readonly warmRounds: number;
  readonly measuredRounds: number;
  /** Length of the season of all series, steps; without one they have none. */
  readonly seasonSteps?: number;
  readonly model: 'lstm' | 'ridge';
  /** Files of weights begin with this: those that were trained are left there, and used by a fleet that remembers too little to train on. */
  readonly weights: string;
}

/** What it says. Memory is resident, of the process as it runs: nothing is collected before it is measured. */
export interface FleetCost {
  /** Of one core at one refresh a minute, training by its schedule included: values in, members scored, all curves. */
  readonly cpuShare: number;
  /** The most at any time, from the first value on. */
  readonly residentMiB: number;
  /** After the last refresh; of it what the heap of V8 takes and arrays outside of it. */
  readonly residentMiBAtEnd: number;
  readonly heapMiB: number;
  readonly arraysMiB: number;
  /** CPU time of one refresh. */
  readonly refreshMs: number;
  /** CPU time to fit the pooled models of all kinds once, in pieces; and the longest piece. 0 where none was due. */
  readonly learnMs: number;
  readonly longestPieceMs: number;
  /** CPU time to train the models of all kinds that are learned, in a thread; and the most resident meanwhile. 0 where the nodes' past was too short. */
  readonly trainMs: number;
  readonly trainingMiB: number;
}
