// Comings and goings of nodes, from a seed: each generator is a kind of machine, each node of it has habits of its own.

export interface Stay {
  readonly cameMs: number;
  readonly leftMs: number;
}

/** The stays of one node, in order, none touching the next; days count from a Monday. */
export type Generator = (random: Random, days: number) => Stay[];

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Within (0, 1). */
  uniform(): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return (this.#state + 0.5) / 2 ** 32;
  }

  normal(mean: number, deviation: number): number {
    return mean + deviation * Math.sqrt(-2 * Math.log(this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  exponential(mean: number): number {
    return -mean * Math.log(this.uniform());
  }

  chance(probability: number): boolean {
    return this.uniform() < probability;
  }
}

/** Stays and absences drawn one after the other. */
function alternating(days: number, stayMs: () => number, awayMs: () => number): Stay[] {
  const stays: Stay[] = [];
  for (let atMs = awayMs(); atMs < days * dayMs; ) {
    const leftMs = atMs + stayMs();
    stays.push({ cameMs: atMs, leftMs });
    atMs = leftMs + awayMs();
  }
  return stays;
}

/** Stays planned per day, in minutes of it; those that touch are one. */
function daily(days: number, plan: (day: number) => (readonly [fromMinute: number, toMinute: number])[]): Stay[] {
  const stays: Stay[] = [];
  for (let day = 0; day < days; day += 1) {
    for (const [from, to] of plan(day)) {
      const cameMs = day * dayMs + from * minuteMs;
      const leftMs = day * dayMs + to * minuteMs;
      const before = stays.at(-1);
      if (before !== undefined && cameMs <= before.leftMs + minuteMs) {
        stays[stays.length - 1] = { cameMs: before.cameMs, leftMs: Math.max(before.leftMs, leftMs) };
      } else if (leftMs > cameMs + minuteMs) stays.push({ cameMs, leftMs });
    }
  }
  return stays;
}

const isWeekend = (day: number) => day % 7 >= 5;

export const generators: Readonly<Record<string, Generator>> = {
  /** Nothing tells when it leaves but how often it does. */
  memoryless: (random, days) => {
    const meanMs = hourMs * Math.exp(random.normal(Math.log(6), 1));
    return alternating(
      days,
      () => random.exponential(meanMs),
      () => minuteMs + random.exponential(hourMs),
    );
  },
  /** Working days from about nine to about five, some with a pause. */
  office: (random, days) => {
    const [from, to] = [random.normal(9 * 60, 40), random.normal(17 * 60, 40)];
    const pauses = random.chance(0.4);
    return daily(days, (day) => {
      if (isWeekend(day) || random.chance(0.06)) return [];
      const [begin, end] = [random.normal(from, 12), random.normal(to, 18)];
      if (!pauses || random.chance(0.2)) return [[begin, end]];
      const pause = random.normal(12 * 60 + 15, 10);
      return [
        [begin, pause],
        [pause + random.normal(45, 8), end],
      ];
    });
  },
  /** Always there, but for a restart at its hour of most nights. */
  nightly: (random, days) => {
    const hour = 60 * (1 + 4 * random.uniform());
    return daily(days, (day) => {
      const at = random.normal(hour, 2);
      return random.chance(0.9)
        ? [
            [day === 0 ? at + 4 : 0, at],
            [at + 4, 1_440],
          ]
        : [[0, 1_440]];
    });
  },
  /** Mostly gone again after minutes, sometimes there for hours. */
  flaky: (random, days) => {
    const short = random.normal(0.7, 0.1);
    const stayMs = () => random.exponential(random.chance(short) ? 5 * minuteMs : 4 * hourMs);
    return alternating(days, stayMs, () => minuteMs + random.exponential(15 * minuteMs));
  },
  /** A desktop at home: evenings and weekends, with sleeps in between, switched off towards the owner's bedtime. */
  desktop: (random, days) => {
    const [evening, bedtime] = [random.normal(18.5 * 60, 45), random.normal(23 * 60, 40)];
    const eager = 0.5 + 0.45 * random.uniform();
    return daily(days, (day) => {
      const weekend = isWeekend(day);
      if (!random.chance(weekend ? 0.9 : eager)) return [];
      const off = random.normal(bedtime + (weekend ? 30 : 0), 25);
      const stays: [number, number][] = [];
      for (let at = random.normal(weekend ? 10.5 * 60 : evening, 45); at < off; ) {
        const end = Math.min(off, at + Math.exp(random.normal(Math.log(90), 0.8)));
        stays.push([at, end]);
        at = end + random.exponential(40);
      }
      return stays;
    });
  },
};
