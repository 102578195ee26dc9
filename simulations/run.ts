import { Topics } from '@foremesh/node-runtime/contract';
import { snapshotLedger } from '@foremesh/node-runtime/core';
import { Checks } from './checks/checks.ts';
import { asViolation, type Violation } from './checks/violation.ts';
import { VirtualClient } from './drivers/client.ts';
import { VirtualNode } from './drivers/node.ts';
import { forecastStepMs } from './drivers/vitals.ts';
import { brokerProfiles, VirtualBroker } from './engine/broker.ts';
import { Chance } from './engine/chance.ts';
import { VirtualDisk } from './engine/disk.ts';
import type { Machine } from './engine/machine.ts';
import { MachineClock } from './engine/machine-clock.ts';
import { Timeline } from './engine/timeline.ts';
import { Trace } from './engine/trace.ts';
import { VirtualMesh } from './mesh.ts';
import { describe } from './scenario/describe.ts';
import { strike } from './scenario/faults.ts';
import { founder, isUndisturbed, raftPaces, type Scenario, whoLeads } from './scenario/scenario.ts';
import { Blobs, inventJob, type VirtualJob } from './scenario/virtual-jobs.ts';
import type { World } from './world.ts';

/** After the last fault every job ends within this. */
const convergeMs = 240_000;
/** And then every node has forgotten what it was told to. */
const settleMs = 150_000;
/** After the last fault: until nodes whose connection is dead have found out and have made another. */
const reconnectMs = 40_000;
const wantEveryMs = 1_000;
const lookEveryMs = 100;

export interface RunResult {
  readonly violation?: Violation;
  /** Of everything that happened: equal for equal runs. */
  readonly traceHash: string;
  /** All of it when it was asked for, else the end. */
  readonly trace: readonly string[];
  readonly steps: number;
  readonly virtualMs: number;
  /** Those that voted at once, at most. */
  readonly votersMost: number;
  /** In which somebody has led. */
  readonly terms: number;
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
  const { time, trace, checks } = simulation.world;
  if (violation !== undefined) trace.say(time.nowMs, `violation of ${violation.checker}: ${violation.message}`);
  return {
    ...(violation === undefined ? {} : { violation }),
    traceHash: trace.digest(),
    trace: trace.lines,
    steps: time.steps,
    virtualMs: time.nowMs,
    votersMost: checks.log.votersMost,
    terms: checks.log.terms,
  };
}

class Simulation {
  readonly world: World;
  readonly #scenario: Scenario;
  readonly #chance: Chance;
  readonly #mesh: VirtualMesh;
  readonly #throwsLeft = new Map<string, number>();

  constructor(scenario: Scenario, trace: Trace) {
    this.#scenario = scenario;
    this.#chance = new Chance(scenario.seed);
    const time = new Timeline();
    const blobs = new Blobs();
    const topics = new Topics('sim');
    const jobs = new Map<string, VirtualJob>();
    for (const job of scenario.jobs) jobs.set(`me/${job.job}`, inventJob(job, this.#chance.fork(job.job), blobs));
    const checks = new Checks(topics, blobs, jobs, founder);
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
    time.at(scenario.calmForMs, () => {
      broker.weather = scenario.weather;
    });
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
      checkpointPercent: scenario.checkpointPercent,
      strayPercent: scenario.strayPercent,
      rivalCutPercent: scenario.rivalCutPercent,
      planner: {
        inventoryIntervalMs: scenario.inventoryIntervalMs,
        inventoryGraceMs: scenario.inventoryGraceMs,
        forecastStepMs,
      },
      profile: raftPaces[scenario.pace],
      traps: [],
      blackout: (forMs) => this.#blackout(forMs),
      elected: (id) => this.#elected(id),
      changing: (id, others) => this.#changing(id, others),
      throws: (jobKey, task) => this.#throws(jobKey, task),
    };
    this.world = world;
    this.#mesh = new VirtualMesh(world);
    for (let number = 0; number < scenario.nodes; number += 1) this.#addNode(number);
  }

  #addNode(number: number): void {
    const machine = this.#machine(`n${number}`);
    const { chance } = machine;
    const offer = {
      engines: ['js'],
      slots: chance.between(1, 3),
      queue: chance.between(0, 4),
      memoryBytes: 64 * 1024 ** 2,
      prefetchAttempts: chance.between(0, 2),
      prefetchBytes: chance.pick([0, 100, 10_000]),
    };
    const labels = number === this.#scenario.nodes - 1 ? ['special'] : [];
    const seat = { isFounder: machine.id === founder, mayLead: number < this.#scenario.mayLead };
    this.#mesh.add(new VirtualNode(this.world, { machine, offer, labels, ...seat }));
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
    return { id, hardware: id, clock, disk: new VirtualDisk(this.world.time, chance.fork('disk'), syncMostMs), chance };
  }

  run(): void {
    const { faults, faultsForMs, voters, pace } = this.#scenario;
    const { time, checks, trace, broker } = this.world;
    const mesh = this.#mesh;
    for (const node of mesh.nodes) time.after(node.machine.chance.between(0, 2_000), () => node.start());
    new VirtualClient(this.world, this.#machine('client')).start();
    this.#wantVoters();
    for (const fault of faults) {
      time.at(fault.atMs, () => {
        const node = fault.machine === whoLeads ? (mesh.leader ?? mesh.node(founder)) : mesh.node(fault.machine);
        if (node !== undefined) strike(this.world, node, fault);
      });
    }
    time.advance(faultsForMs);
    trace.say(time.nowMs, 'no more faults');
    this.world.faulty = false;
    this.world.traps.length = 0;
    broker.mend();
    for (const node of mesh.nodes) {
      node.machine.disk.full = false;
      node.start();
    }
    const leaderMs = reconnectMs + 5 * raftPaces[pace].electionMostMs;
    this.#within(leaderMs, () => mesh.planning !== undefined);
    checks.inTime(mesh.planning !== undefined, 'I9', `nobody leads: ${mesh.describe()}`, leaderMs);
    this.#within(convergeMs, () => checks.allEnded);
    checks.everyJobEnded(convergeMs, () => mesh.describe());
    this.#within(settleMs, () => mesh.leftovers().length === 0);
    checks.settled(mesh.leftovers(), settleMs);
    const { settleMs: presentMs, replaceAfterMs } = voters.at(-1)!;
    const votersMs = settleMs + presentMs + replaceAfterMs;
    this.#within(votersMs, () => mesh.votersProblem() === undefined);
    checks.inTime(mesh.votersProblem() === undefined, 'I9', `${mesh.votersProblem()}: ${mesh.describe()}`, votersMs);
    for (const { raft, appliedIndex, ledger } of mesh.voters)
      checks.log.sameAsLog(raft.id, appliedIndex, snapshotLedger(ledger));
    if (isUndisturbed(this.#scenario)) checks.nothingRanTwice();
  }

  /** Lets time pass until something is so, but not longer. */
  #within(mostMs: number, isSo: () => boolean): void {
    const { time } = this.world;
    let lookMs = time.nowMs;
    time.advance(time.nowMs + mostMs, () => {
      if (time.nowMs < lookMs) return false;
      lookMs = time.nowMs + lookEveryMs;
      return isSo();
    });
  }

  #wantVoters(): void {
    const { time } = this.world;
    const wish = this.#scenario.voters.findLast(({ atMs }) => atMs <= time.nowMs);
    if (wish !== undefined) this.#mesh.want(wish);
    time.after(wantEveryMs, () => this.#wantVoters());
  }

  #blackout(forMs: number): void {
    for (const node of this.#mesh.nodes) {
      node.crash('power');
      this.world.time.after(node.machine.chance.between(0, forMs), () => node.start());
    }
  }

  #trapOn(on: 'election' | 'change'): { readonly forMs: number } | undefined {
    const { traps } = this.world;
    const at = traps.findIndex((each) => each.on === on);
    return at < 0 ? undefined : traps.splice(at, 1)[0];
  }

  /** It dies at the very moment, or when it has said its first words. */
  #elected(id: string): void {
    const trap = this.#trapOn('election');
    if (trap !== undefined) this.#crashSoon(this.#mesh.byId(id), [0, 10, 400], trap.forMs);
  }

  /** The leader dies when others have heard of the change; or nobody hears any more of those who are to agree to it. */
  #changing(id: string, others: readonly string[]): void {
    const trap = this.#trapOn('change');
    if (trap === undefined) return;
    const { broker } = this.world;
    if (others.length === 0 || this.#chance.percent(50))
      this.#crashSoon(this.#mesh.byId(id), [10, 60, 400], trap.forMs);
    else {
      for (const each of others) broker.block(this.#mesh.byId(each)?.machine.hardware ?? each, 'both', trap.forMs);
    }
  }

  #crashSoon(node: VirtualNode | undefined, delaysMs: readonly number[], forMs: number): void {
    if (node === undefined) return;
    const { time } = this.world;
    const { chance } = node.machine;
    time.after(chance.pick(delaysMs), () => {
      node.crash(chance.percent(50) ? 'kill' : 'power');
      time.after(forMs, () => node.start());
    });
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
