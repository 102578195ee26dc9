import { Topics } from '@foremesh/node-runtime/contract';
import { asViolation, Checks, type Violation } from './checks.ts';
import { VirtualClient } from './drivers/client.ts';
import { VirtualNode } from './drivers/node.ts';
import { brokerProfiles, VirtualBroker } from './engine/broker.ts';
import { Chance } from './engine/chance.ts';
import { VirtualDisk } from './engine/disk.ts';
import type { Machine } from './engine/machine.ts';
import { MachineClock } from './engine/machine-clock.ts';
import { Timeline } from './engine/timeline.ts';
import { Trace } from './engine/trace.ts';
import { describe } from './scenario/describe.ts';
import { strike } from './scenario/faults.ts';
import { founder, isUndisturbed, type Scenario } from './scenario/scenario.ts';
import { Blobs, inventJob, type VirtualJob } from './scenario/virtual-jobs.ts';
import type { World } from './world.ts';

/** After the last fault every job ends within this. */
const convergeMs = 240_000;
/** And then every node has forgotten what it was told to. */
const settleMs = 150_000;

export interface RunResult {
  readonly violation?: Violation;
  /** Of everything that happened: equal for equal runs. */
  readonly traceHash: string;
  /** All of it when it was asked for, else the end. */
  readonly trace: readonly string[];
  readonly steps: number;
  readonly virtualMs: number;
}

/** Runs a scenario: a phase with faults, then none, then every job must have ended. Never throws. */
export function runScenario(scenario: Scenario, options: { readonly trace?: boolean } = {}): RunResult {
  const simulation = new Simulation(scenario, new Trace(options.trace === true));
  let violation: Violation | undefined;
  try {
    simulation.run();
  } catch (error) {
    violation = asViolation(error);
  }
  const { time, trace } = simulation.world;
  if (violation !== undefined) trace.say(time.nowMs, `violation of ${violation.checker}: ${violation.message}`);
  return {
    ...(violation === undefined ? {} : { violation }),
    traceHash: trace.digest(),
    trace: trace.lines,
    steps: time.steps,
    virtualMs: time.nowMs,
  };
}

class Simulation {
  readonly world: World;
  readonly #scenario: Scenario;
  readonly #chance: Chance;
  readonly #nodes = new Map<string, VirtualNode>();
  readonly #throwsLeft = new Map<string, number>();

  constructor(scenario: Scenario, trace: Trace) {
    this.#scenario = scenario;
    this.#chance = new Chance(scenario.seed);
    const time = new Timeline();
    const blobs = new Blobs();
    const topics = new Topics('sim');
    const jobs = new Map<string, VirtualJob>();
    for (const job of scenario.jobs) jobs.set(`me/${job.job}`, inventJob(job, this.#chance.fork(job.job), blobs));
    const checks = new Checks(topics, blobs, jobs);
    const broker = new VirtualBroker(
      time,
      this.#chance.fork('broker'),
      brokerProfiles[scenario.profile],
      (topic, payload) => {
        trace.say(time.nowMs, `${topic.slice(topics.prefix.length)} ${payload.length} B`, () =>
          describe(topics, topic, payload),
        );
        checks.seen(topic, payload);
      },
    );
    broker.weather = scenario.weather;
    const world: World = {
      time,
      trace,
      topics,
      broker,
      blobs,
      checks,
      jobs,
      faulty: true,
      fetchFailPercent: scenario.fetchFailPercent,
      strayPercent: scenario.strayPercent,
      planner: { inventoryIntervalMs: scenario.inventoryIntervalMs, inventoryGraceMs: scenario.inventoryGraceMs },
      throws: (jobKey, task) => this.#throws(jobKey, task),
    };
    this.world = world;
    for (let number = 0; number < scenario.nodes; number += 1) this.#addNode(`n${number}`);
  }

  #addNode(id: string): void {
    const machine = this.#machine(id);
    const { chance } = machine;
    const offer = {
      engines: ['js'],
      slots: chance.between(1, 3),
      queue: chance.between(0, 4),
      memoryBytes: 64 * 1024 ** 2,
      prefetchAttempts: chance.between(0, 2),
      prefetchBytes: chance.pick([0, 100, 10_000]),
    };
    const isVoter = id === founder;
    const labels = id === `n${this.#scenario.nodes - 1}` ? ['special'] : [];
    this.#nodes.set(id, new VirtualNode(this.world, { machine, offer, labels, isVoter }));
  }

  #machine(id: string): Machine {
    const chance = this.#chance.fork(id);
    const { driftPermille, syncMostMs } = this.#scenario;
    const rate = 1 + ((chance.next() * 2 - 1) * driftPermille) / 1_000;
    const clock = new MachineClock(this.world.time, {
      rate,
      startMs: chance.between(0, 1_000_000),
      wallMs: chance.pick([0, 1_700_000_000_000, 1_764_000_000_000]), // a machine without a battery begins in 1970
    });
    return { id, clock, disk: new VirtualDisk(this.world.time, chance.fork('disk'), syncMostMs), chance };
  }

  run(): void {
    const { faults, faultsForMs } = this.#scenario;
    const { time, checks, trace, broker } = this.world;
    for (const node of this.#nodes.values())
      time.after(node.options.machine.chance.between(0, 2_000), () => node.start());
    new VirtualClient(this.world, this.#machine('client')).start();
    for (const fault of faults) {
      time.at(fault.atMs, () => {
        const node = this.#nodes.get(fault.machine);
        if (node !== undefined) strike(this.world, node, fault);
      });
    }
    time.advance(faultsForMs);
    trace.say(time.nowMs, 'no more faults');
    this.world.faulty = false;
    broker.mend();
    for (const node of this.#nodes.values()) {
      node.options.machine.disk.full = false;
      node.start();
    }
    time.advance(faultsForMs + convergeMs, () => checks.allEnded);
    checks.everyJobEnded(convergeMs, () => this.#describeOpen());
    time.advance(time.nowMs + settleMs, () => this.#leftovers().length === 0);
    checks.settled(this.#leftovers(), settleMs);
    const { voter } = this.#nodes.get(founder)!.process!.leader!;
    checks.sameAsLog(voter.ledger, founder);
    if (isUndisturbed(this.#scenario)) checks.nothingRanTwice();
  }

  #leftovers(): string[] {
    const left: string[] = [];
    for (const node of this.#nodes.values()) {
      if (node.process === undefined) left.push(`${node.id}, which is down`);
      else left.push(...node.process.leftovers().map((what) => `${what} on ${node.id}`));
    }
    const planner = this.#nodes.get(founder)!.process?.leader?.voter.planner;
    if (planner?.leading !== true) left.push('an election');
    left.push(...[...(planner?.attempts.keys() ?? [])].map((attempt) => `${attempt} in the plan`));
    return left;
  }

  #describeOpen(): string {
    const planner = this.#nodes.get(founder)?.process?.leader?.voter.planner;
    if (planner === undefined) return 'nobody leads';
    const tasks = [...planner.jobs.values()].flatMap((job) =>
      [...job.tasks.values()].filter(({ state }) => state !== 'done'),
    );
    const stories = tasks.map(({ key, state, committing, story }) => {
      return `${key} is ${state}${committing ? ', committing' : ''}: ${story.join(' | ')}`;
    });
    const nodes = [...planner.nodes].map(
      ([id, { online, confirmed, attempts }]) =>
        `${id} online=${online} confirmed=${confirmed} attempts=${attempts.size}`,
    );
    return [`leading=${planner.leading} connected=${planner.connected}`, ...stories, ...nodes].join('\n  ');
  }

  /** Never so often that it would use up a task's retries, unless its job is doomed. */
  #throws(jobKey: string, task: string): boolean {
    if (this.world.jobs.get(jobKey)!.doomed) return true;
    const key = `${jobKey}/${task}`;
    const chance = this.#chance.fork(key);
    const planned = chance.percent(this.#scenario.throwPercent) ? chance.between(1, 2) : 0;
    const left = this.#throwsLeft.get(key) ?? planned;
    this.#throwsLeft.set(key, Math.max(0, left - 1));
    return left > 0;
  }
}
