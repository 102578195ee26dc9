import assert from 'node:assert/strict';
import {
  decode,
  encode,
  type JobResult,
  type JobState,
  jobEndPhases,
  jobResult,
  jobState,
  nodeMetrics,
  nodeStatus,
  outboxEnvelope,
} from '@foremesh/node-runtime/contract';
import { Chance, Timeline } from './chance.ts';
import { Blobs, expectedOutputs, inventJob, type VirtualJob } from './mesh-jobs.ts';
import { MeshLeader } from './mesh-leader.ts';
import { MeshNode } from './mesh-node.ts';

export interface Scenario {
  readonly seed: number;
  readonly nodes: number;
  readonly jobs: number;
  readonly faultsForMs: number;
  readonly lossPercent: number;
  readonly duplicatePercent: number;
  readonly delayMostMs: number;
  /** Mean time between two faults of a machine or a connection; 0 for none. */
  readonly faultEveryMs: number;
  readonly fetchFailPercent: number;
  /** Of the tasks that shall succeed: those that throw once or twice before. */
  readonly throwPercent: number;
}

/** After the faults, every job ends within this. */
const convergeMs = 240_000;

/** One leader, some nodes, a broker between them and a client, stepped together by a virtual clock and a seed. */
export class Mesh {
  readonly time = new Timeline();
  readonly chance: Chance;
  readonly blobs = new Blobs();
  readonly scenario: Scenario;
  readonly leader: MeshLeader;
  readonly nodes = new Map<string, MeshNode>();
  readonly jobs: VirtualJob[] = [];
  readonly accepted = new Set<string>();
  readonly states = new Map<string, JobState>();
  readonly results = new Map<string, JobResult>();
  faulty = true;
  steps = 0;
  private readonly retained = new Map<string, Uint8Array>();
  private readonly linkMs = new Map<string, number>();
  private readonly throwsLeft = new Map<string, number>();
  /** Retained values that wait for a connection, as `shell/leader-link.ts` keeps them. */
  private readonly unpublished = new Map<string, () => void>();

  constructor(scenario: Scenario) {
    this.scenario = scenario;
    this.chance = new Chance(scenario.seed);
    this.leader = new MeshLeader(this);
    for (let node = 0; node < scenario.nodes; node += 1) {
      this.nodes.set(`n${node}`, new MeshNode(this, `n${node}`, node === 0));
    }
    for (let job = 0; job < scenario.jobs; job += 1) {
      this.jobs.push(inventJob(`j${job}`, this.chance, this.blobs, scenario.faultsForMs));
    }
  }

  /** Runs faults, then calm until every job has ended and is settled. Throws when something does not hold. */
  run(): void {
    this.leader.start();
    for (const node of this.nodes.values()) this.time.after(this.chance.between(0, 2_000), () => node.start());
    for (const job of this.jobs) this.time.at(job.submitMs, () => this.submit(job));
    if (this.scenario.faultEveryMs > 0) this.planFault();
    this.advance(this.scenario.faultsForMs, () => false);
    this.calm();
    const ended = () => this.jobs.every((job) => this.results.has(`me/${job.job}`));
    const calmMs = this.time.nowMs;
    this.advance(calmMs + convergeMs, ended);
    assert.ok(ended(), `I9: ${convergeMs / 1_000} s after the last fault: ${this.describeOpen()}`);
    for (const job of this.jobs) this.checkJob(job);
    const settled = () => [...this.nodes.values()].every((node) => node.leftovers().length === 0);
    this.advance(this.time.nowMs + 90_000, settled);
    for (const node of this.nodes.values()) assert.deepEqual(node.leftovers(), [], `${node.id} still holds these`);
    assert.equal(this.leader.planner.attempts.size, 0);
  }

  private advance(untilMs: number, until: () => boolean): void {
    while (!until() && this.time.step(untilMs)) this.steps += 1;
  }

  private describeOpen(): string {
    const { planner } = this.leader;
    const tasks = [...planner.jobs.values()].flatMap((job) =>
      [...job.tasks.values()].filter((task) => task.state !== 'done'),
    );
    const stories = tasks.map(
      (task) => `${task.key} is ${task.state}${task.committing ? ', committing' : ''}: ${task.story.join(' | ')}`,
    );
    const nodes = [...planner.nodes].map(
      ([id, node]) => `${id} online=${node.online} confirmed=${node.confirmed} attempts=${node.attempts.size}`,
    );
    return [
      ...this.jobs.map((job) => `${job.job}: ${this.states.get(`me/${job.job}`)?.phase}`),
      ...stories,
      ...nodes,
    ].join('\n  ');
  }

  private checkJob({ job, plan, doomed, cancelMs }: VirtualJob): void {
    const result = this.results.get(`me/${job}`)!;
    const state = this.states.get(`me/${job}`)!;
    assert.equal(state.phase, result.phase, `${job}: state and result differ`);
    if (cancelMs !== undefined && result.phase === 'cancelled') return;
    assert.equal(result.phase, doomed ? 'failed' : 'done', `${job}: ${JSON.stringify(result.problem)}`);
    if (doomed) return;
    for (const [stage, numbers] of expectedOutputs(plan, this.blobs)) {
      assert.deepEqual(this.blobs.numbersOfResult(result.outputs![stage]!), numbers, `I6: ${job}, stage ${stage}`);
    }
  }

  /** Whether this execution of a task throws. Never so often that it would use up its retries, unless it is doomed. */
  throws(jobKey: string, task: string): boolean {
    if (this.jobs.find((job) => `me/${job.job}` === jobKey)!.doomed) return true;
    const key = `${jobKey}/${task}`;
    const left =
      this.throwsLeft.get(key) ?? (this.chance.percent(this.scenario.throwPercent) ? this.chance.between(1, 2) : 0);
    this.throwsLeft.set(key, Math.max(0, left - 1));
    return left > 0;
  }

  // The client: submits, repeats until it sees that the job is accepted, perhaps cancels.

  private submit(job: VirtualJob): void {
    const key = `me/${job.job}`;
    if (!this.accepted.has(key)) {
      this.toLeader('client', () =>
        this.leader.feed({ type: 'submitted', account: 'me', job: job.job, specHash: job.job, plan: job.plan }),
      );
    } else if (job.cancelMs === undefined || this.results.has(key)) return;
    if (job.cancelMs !== undefined && this.time.nowMs >= job.cancelMs) {
      this.toLeader('client', () =>
        this.leader.feed({ type: 'cancel-requested', account: 'me', job: job.job, reason: 'enough' }),
      );
    }
    this.time.after(2_000, () => this.submit(job));
  }

  publishState(state: JobState): void {
    const key = `${state.account}/${state.job}`;
    const seen = decode(jobState, encode(state, 'json'));
    assert.notEqual(seen.phase, 'refused', JSON.stringify(seen.problem));
    this.publishRetained(`state ${key}`, () => {
      this.accepted.add(key);
      const before = this.states.get(key);
      if (
        before !== undefined &&
        (before.term > seen.term || (before.term === seen.term && before.revision > seen.revision))
      )
        return;
      if (before !== undefined && jobEndPhases.includes(before.phase))
        assert.equal(seen.phase, before.phase, `${key} changed its end`);
      this.states.set(key, seen);
    });
  }

  publishResult(result: JobResult): void {
    const key = `${result.account}/${result.job}`;
    const seen = decode(jobResult, encode(result, 'json'));
    this.publishRetained(`result ${key}`, () => {
      const before = this.results.get(key);
      if (before !== undefined) assert.deepEqual(seen, before, `${key}: its result changed`);
      this.results.set(key, seen);
    });
  }

  private publishRetained(topic: string, take: () => void): void {
    if (this.leader.connected) take();
    else this.unpublished.set(topic, take);
  }

  // The broker between them: each connection keeps the order of what it published, and only that; what is away hears nothing.

  private delayMs(): number {
    return this.chance.between(1, this.faulty ? this.scenario.delayMostMs : 20);
  }

  private carry(link: string, notBeforeMs: number, arrive: () => void): void {
    if (this.faulty && this.chance.percent(this.scenario.lossPercent)) return;
    const atMs = Math.max(this.linkMs.get(link) ?? 0, notBeforeMs, this.time.nowMs + this.delayMs());
    this.linkMs.set(link, atMs);
    this.time.at(atMs, arrive);
    if (this.faulty && this.chance.percent(this.scenario.duplicatePercent)) {
      this.time.at(atMs + this.chance.between(0, 3 * this.scenario.delayMostMs), arrive); // a resend: behind later ones too
    }
  }

  private toLeader(from: string, arrive: () => void, notBeforeMs = 0): void {
    const { connection } = this.leader;
    if (!this.leader.connected) return;
    this.carry(`${from} -> leader`, notBeforeMs, () => {
      if (this.leader.connected && this.leader.connection === connection) arrive();
    });
  }

  toNode(id: string, payload: Uint8Array): void {
    const node = this.nodes.get(id)!;
    if (!this.leader.connected || !node.connected) return;
    const { connection } = node;
    this.carry(`leader ${this.leader.connection} -> ${id}`, node.frozenUntilMs, () => {
      if (node.connected && node.connection === connection) node.hear(payload);
    });
  }

  announce(): void {
    if (!this.leader.connected) return;
    for (const node of this.nodes.values())
      this.carry(`hint -> ${node.id}`, node.frozenUntilMs, () => node.publishStatus());
  }

  fromNode(node: MeshNode, kind: 'status' | 'metrics' | 'outbox', payload: Uint8Array): void {
    if (!node.connected) return;
    if (kind === 'status') this.retained.set(node.id, payload);
    this.toLeader(`${node.id} ${node.connection}`, () => this.hear(kind, payload), node.frozenUntilMs);
  }

  private hear(kind: 'status' | 'metrics' | 'outbox', payload: Uint8Array): void {
    switch (kind) {
      case 'status':
        this.leader.feed({ type: 'node-status', status: decode(nodeStatus, payload) });
        return;
      case 'metrics':
        this.leader.feed({ type: 'node-metrics', metrics: decode(nodeMetrics, payload) });
        return;
      case 'outbox': {
        const { from, bootId, messages } = decode(outboxEnvelope, payload);
        this.leader.feed({ type: 'node-reported', node: from, bootId, messages });
      }
    }
  }

  /** A last will comes late, twice, or never. */
  publishWill(node: MeshNode, payload: Uint8Array): void {
    if (this.faulty && this.chance.percent(30)) return;
    const lateMs = this.faulty ? this.chance.between(0, 30_000) : 0;
    this.time.after(lateMs, () => {
      if (this.chance.percent(50)) this.retained.set(node.id, payload);
      this.toLeader(`will of ${node.id}`, () => this.hear('status', payload));
      if (this.chance.percent(20)) this.toLeader(`will of ${node.id}`, () => this.hear('status', payload));
    });
  }

  leaderConnected(): void {
    for (const take of this.unpublished.values()) take();
    this.unpublished.clear();
    // Some brokers give a wildcard subscriber what is retained, some never do.
    for (const [id, payload] of this.retained)
      if (this.chance.percent(60)) this.toLeader(id, () => this.hear('status', payload));
  }

  // Faults.

  private planFault(): void {
    this.time.after(this.chance.between(1, 2 * this.scenario.faultEveryMs), () => {
      if (!this.faulty) return;
      this.strike();
      this.planFault();
    });
  }

  private strike(): void {
    const node = this.chance.pick([...this.nodes.values()]);
    const again = (most: number, mend: () => void) => this.time.after(this.chance.between(1, most), mend);
    switch (this.chance.between(0, 5)) {
      case 0:
        node.crash(this.chance.percent(20));
        again(30_000, () => node.start());
        return;
      case 1:
      case 2:
        node.disconnect();
        again(30_000, () => node.connect());
        return;
      case 3:
        this.leader.crash();
        again(5_000, () => this.leader.start());
        return;
      case 4:
        this.leader.disconnect();
        again(10_000, () => this.leader.connect());
        return;
      case 5:
        node.frozenUntilMs = this.time.nowMs + this.chance.between(1, 40_000);
    }
  }

  private calm(): void {
    this.faulty = false;
    for (const node of this.nodes.values()) {
      node.frozenUntilMs = 0;
      node.start();
      node.connect();
    }
    this.leader.start();
    this.leader.connect();
  }
}
