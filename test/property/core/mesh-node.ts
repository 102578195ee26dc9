import assert from 'node:assert/strict';
import {
  type Assign,
  decode,
  encode,
  inboxEnvelope,
  type OutboxMessage,
  type Outcome,
  type Output,
  parseAttemptKey,
} from '@foremesh/node-runtime/contract';
import {
  type AgentEffect,
  type AgentEvent,
  type AgentState,
  createAgent,
  stepAgent,
  validateAgent,
} from '@foremesh/node-runtime/core';
import { nodeStatus, usage } from '../../unit/core/samples.ts';
import type { Mesh } from './mesh.ts';
import { bytesOfNumbers, compute } from './mesh-jobs.ts';

const mebibyte = 1024 ** 2;

/** A virtual device: the real agent, a disk, a pool of slots that computes by the virtual clock. */
export class MeshNode {
  readonly offer;
  agent!: AgentState;
  up = false;
  connected = false;
  connection = 0;
  frozenUntilMs = 0;
  readonly id: string;
  private readonly mesh: Mesh;
  private readonly special: boolean;
  private boots = 0;
  private statuses = 0;
  private disk = { term: 0, outcomes: new Map<string, Outcome>() };
  private outbox: OutboxMessage[] = [];
  private envelopes = 0;
  private pool: Assign[] = [];
  private readonly running = new Map<string, Assign>();

  constructor(mesh: Mesh, id: string, special: boolean) {
    this.mesh = mesh;
    this.id = id;
    this.special = special;
    const { chance } = mesh;
    const slots = chance.between(1, 3);
    this.offer = {
      engines: ['js'],
      slots,
      queue: chance.between(0, 4),
      memoryBytes: 64 * mebibyte,
      prefetchAttempts: chance.between(0, 2),
      prefetchBytes: chance.pick([0, 100, 10_000]),
    };
  }

  get bootId(): string {
    return `${this.id}-${this.boots}`;
  }

  start(): void {
    if (this.up) return;
    this.up = true;
    this.boots += 1;
    this.agent = createAgent(this.id, this.offer, { term: this.disk.term, outcomes: [...this.disk.outcomes.values()] });
    this.connect();
    const { boots } = this;
    const sample = () => {
      if (!this.up || this.boots !== boots) return;
      this.mesh.fromNode(
        this,
        'metrics',
        encode({ v: 1, node: this.id, bootId: this.bootId, seq: this.envelopes, samples: [] }, 'cbor'),
      );
      this.mesh.time.after(5_000, sample);
    };
    this.mesh.time.after(5_000, sample);
  }

  crash(loseDisk: boolean): void {
    if (!this.up) return;
    this.disconnect();
    this.up = false;
    this.pool = [];
    this.running.clear();
    this.outbox = [];
    if (loseDisk) this.disk = { term: 0, outcomes: new Map() };
  }

  connect(): void {
    if (this.connected || !this.up) return;
    this.connected = true;
    this.connection += 1;
    this.statuses = this.connection * 1_000;
    this.publishStatus();
  }

  disconnect(): void {
    if (!this.connected) return;
    this.connected = false;
    this.mesh.publishWill(this, encode(this.status(false, this.connection * 1_000 + 999), 'json'));
  }

  /** A new announcement of the leader asks for it. */
  publishStatus(): void {
    if (!this.connected) return;
    this.statuses += 1;
    this.mesh.fromNode(this, 'status', encode(this.status(true, this.statuses), 'json'));
  }

  private status(online: boolean, seq: number) {
    const { slots, queue, memoryBytes } = this.offer;
    const labels = this.special ? ['special'] : [];
    return nodeStatus(this.id, {
      bootId: this.bootId,
      seq,
      online,
      slots,
      queue,
      offeredMemoryBytes: memoryBytes,
      labels,
    });
  }

  hear(payload: Uint8Array): void {
    const envelope = decode(inboxEnvelope, payload);
    const { term, held, outcomes } = this.agent;
    const before = [term, held.size, outcomes.size];
    this.step({ type: 'inbox', term: envelope.term, messages: envelope.messages });
    assert.ok(this.agent.term >= term, 'I2: the fence was lowered');
    if (envelope.term < term)
      assert.deepEqual([this.agent.term, held.size, outcomes.size], before, 'I2: a leader of the past was obeyed');
  }

  private step(event: AgentEvent): void {
    const effects = stepAgent(this.agent, event);
    validateAgent(this.agent);
    for (const effect of effects) this.perform(effect);
    if (this.outbox.length === 0) return;
    const messages = this.outbox;
    this.outbox = [];
    this.envelopes += 1;
    const envelope = { v: 1, from: this.id, bootId: this.bootId, seq: this.envelopes, term: this.agent.term, messages };
    this.mesh.fromNode(this, 'outbox', encode(envelope, 'cbor'));
  }

  private perform(effect: AgentEffect): void {
    switch (effect.type) {
      case 'persist-term':
        assert.ok(effect.term > this.disk.term);
        this.disk.term = effect.term;
        return;
      case 'keep-outcome':
        this.disk.outcomes.set(effect.outcome.attempt, effect.outcome);
        return;
      case 'forget-outcomes':
        for (const attempt of effect.attempts) assert.ok(this.disk.outcomes.delete(attempt));
        return;
      case 'fetch':
        this.fetch(effect.assign);
        return;
      case 'run':
        this.pool.push(effect.assign);
        this.fill();
        return;
      case 'stop':
        this.pool = this.pool.filter((assign) => assign.attempt !== effect.attempt);
        if (this.running.delete(effect.attempt)) this.fill();
        return;
      case 'report': {
        const { message } = effect;
        if (message.type === 'done' || (message.type === 'failed' && message.code === 'MESH_TASK_THREW')) {
          assert.ok(this.disk.outcomes.has(message.attempt), 'an outcome was reported before it was on disk');
        }
        this.outbox.push(message);
      }
    }
  }

  private later(delayMs: number, run: () => void): void {
    const { boots } = this;
    this.mesh.time.after(delayMs, () => {
      if (this.up && this.boots === boots) run();
    });
  }

  private fetch({ attempt }: Assign): void {
    const { mesh } = this;
    const fails = mesh.faulty && mesh.chance.percent(mesh.scenario.fetchFailPercent);
    this.later(mesh.chance.between(1, 200), () => {
      if (fails)
        this.step({ type: 'fetch-failed', attempt, problem: { code: 'MESH_BLOB_MISSING', message: 'no holder' } });
      else this.step({ type: 'fetched', attempt });
    });
  }

  /** Starts what waits in the pool, as far as there are slots. */
  private fill(): void {
    while (this.running.size < this.offer.slots && this.pool.length > 0) {
      const assign = this.pool.shift()!;
      assert.ok(!this.running.has(assign.attempt), 'an attempt runs twice at once');
      this.running.set(assign.attempt, assign);
      let memoryBytes = 0;
      for (const each of this.running.values()) memoryBytes += each.limits.memoryBytes;
      assert.ok(memoryBytes <= this.offer.memoryBytes, `I7: ${this.id} runs ${memoryBytes} bytes`);
      const wallMs = this.mesh.chance.between(5, 2_500);
      const { attempt } = assign;
      const mine = (run: () => void) => () => {
        if (this.running.get(attempt) === assign) run();
      };
      this.later(
        1,
        mine(() => this.step({ type: 'started', attempt })),
      );
      this.later(
        wallMs / 2,
        mine(() => this.step({ type: 'progressed', attempt, fraction: 0.5 })),
      );
      this.later(
        wallMs,
        mine(() => this.finish(assign)),
      );
    }
  }

  private finish(assign: Assign): void {
    const { attempt } = assign;
    this.running.delete(attempt);
    const { account, job, task } = parseAttemptKey(attempt);
    if (this.mesh.throws(`${account}/${job}`, task)) {
      const outcome = {
        type: 'failed' as const,
        attempt,
        usage,
        fault: 'task' as const,
        code: 'MESH_TASK_THREW',
        message: 'thrown',
      };
      this.step({ type: 'ended', outcome });
    } else {
      const bytes = bytesOfNumbers(compute(assign, this.mesh.blobs));
      const inline = bytes.length <= Math.min(100, assign.inlineOutputBytes);
      const output: Output = inline
        ? { encoding: 'json', inline: bytes }
        : { encoding: 'json', ...this.mesh.blobs.put(bytes) };
      this.step({ type: 'ended', outcome: { type: 'done', attempt, usage, output } });
    }
    this.fill();
  }

  /** What should be empty once every job has ended and is settled. */
  leftovers(): string[] {
    return [
      ...this.agent.held.keys(),
      ...this.agent.outcomes.keys(),
      ...this.running.keys(),
      ...this.disk.outcomes.keys(),
    ];
  }
}
