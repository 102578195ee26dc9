import assert from 'node:assert/strict';
import { decodeCbor, encode, encodeCbor, type InboxMessage } from '@foremesh/node-runtime/contract';
import {
  applyCommand,
  createLedger,
  createPlanner,
  createRaft,
  type HardState,
  type LedgerCommand,
  type LedgerEvent,
  type LogEntry,
  type PlannerEffect,
  type PlannerEvent,
  type PlannerState,
  type RaftEvent,
  type RaftState,
  restoreLedger,
  snapshotLedger,
  stepPlanner,
  stepRaft,
  validateLedger,
  validatePlanner,
  validateRaft,
} from '@foremesh/node-runtime/core';
import { policy, recordIndex } from '../../unit/core/samples.ts';
import type { Mesh } from './mesh.ts';

interface Disk {
  hard: HardState;
  entries: LogEntry<LedgerCommand>[];
  snapshot?: { readonly index: number; readonly term: number; readonly bytes: Uint8Array };
}

/** The voter: real log, ledger and planner on a virtual disk, driven as `shell/voter.ts` drives them. */
export class MeshLeader {
  up = false;
  connected = false;
  connection = 0;
  planner!: PlannerState;
  private raft!: RaftState<LedgerCommand>;
  private readonly mesh: Mesh;
  private boots = 0;
  private disk: Disk = { hard: { term: 0 }, entries: [] };
  private persistedAtMs = 0;
  private appliedIndex = 0;
  /** What is being written and may be lost, or half there, after a crash. */
  private writing: LogEntry<LedgerCommand>[] = [];
  private depth = 0;
  private readonly inboxes = new Map<string, InboxMessage[]>();
  private envelopes = 0;
  private termSeen = 0;
  private commitSeen = 0;
  private readonly committed = new Map<string, string>();

  constructor(mesh: Mesh) {
    this.mesh = mesh;
  }

  start(): void {
    if (this.up) return;
    this.up = true;
    this.boots += 1;
    const { snapshot, entries, hard } = this.disk;
    const restored = { hard, log: entries, snapshotIndex: snapshot?.index ?? 0, snapshotTerm: snapshot?.term ?? 0 };
    this.raft = createRaft<LedgerCommand>('ada', ['ada'], restored);
    this.appliedIndex = restored.snapshotIndex;
    const ledger = snapshot === undefined ? createLedger() : restoreLedger(decodeCbor(snapshot.bytes));
    const config = { nodeFaultsMost: 1_000 };
    this.planner = createPlanner({ id: 'ada', bootId: `ada-${this.boots}`, holders: ['ada'], ledger, policy, config });
    this.stepRaft({ type: 'start', nowMs: this.mesh.time.nowMs, seed: this.boots });
    this.mesh.time.after(this.mesh.chance.between(0, 3_000), () => this.connect());
    const { boots } = this;
    const tick = () => {
      if (!this.up || this.boots !== boots) return;
      this.feed({ type: 'tick' });
      this.mesh.time.after(250, tick);
    };
    this.mesh.time.after(250, tick);
  }

  crash(): void {
    if (!this.up) return;
    this.disconnect();
    this.up = false;
    // Of what was being written, any beginning may have reached the disk.
    this.disk.entries.push(...this.writing.slice(0, this.mesh.chance.between(0, this.writing.length)));
    this.writing = [];
    this.inboxes.clear();
  }

  connect(): void {
    if (this.connected || !this.up) return;
    this.connected = true;
    this.connection += 1;
    this.mesh.leaderConnected();
    this.feed({ type: 'connected' });
  }

  disconnect(): void {
    if (!this.connected) return;
    this.connected = false;
    this.feed({ type: 'disconnected' });
  }

  feed(event: PlannerEvent): void {
    if (!this.up) return;
    this.depth += 1;
    const effects = stepPlanner(this.planner, event, {
      nowMs: this.mesh.time.nowMs,
      wallMs: 1_000_000 + this.mesh.time.nowMs,
    });
    validatePlanner(this.planner);
    const commands: LedgerCommand[] = [];
    for (const effect of effects) {
      if (effect.type === 'propose') commands.push(...effect.commands);
      else this.perform(effect);
    }
    if (commands.length > 0) this.stepRaft({ type: 'propose', commands });
    this.depth -= 1;
    if (this.depth === 0) this.flush();
  }

  private perform(effect: Exclude<PlannerEffect, { type: 'propose' }>): void {
    switch (effect.type) {
      case 'send': {
        const inbox = this.inboxes.get(effect.node) ?? [];
        inbox.push(effect.message);
        this.inboxes.set(effect.node, inbox);
        return;
      }
      case 'announce':
        this.mesh.announce();
        return;
      case 'publish-state':
        this.mesh.publishState(effect.state);
        return;
      case 'publish-result':
        this.mesh.publishResult(effect.result);
        return;
      case 'index':
        this.index(effect);
        return;
      case 'clear-spec':
      case 'clear-job':
      case 'event':
    }
  }

  private flush(): void {
    for (const [node, messages] of this.inboxes) {
      this.envelopes += 1;
      const envelope = {
        v: 1,
        from: 'ada',
        bootId: `ada-${this.boots}`,
        seq: this.envelopes,
        term: this.planner.term,
        messages,
      };
      this.mesh.toNode(node, encode(envelope, 'cbor'));
    }
    this.inboxes.clear();
  }

  private index(effect: PlannerEffect & { type: 'index' }): void {
    const { account, job, stage, source } = effect;
    const { blobs, chance } = this.mesh;
    this.later(chance.between(1, 500), () => {
      const reference =
        'inline' in source ? blobs.put(source.inline) : { blob: source.blob, sizeBytes: source.sizeBytes };
      const index = { ...recordIndex(blobs.numbers(reference).length), by: effect.by };
      this.feed({ type: 'indexed', account, job, stage, source: reference, index });
      if (chance.percent(20)) this.feed({ type: 'indexed', account, job, stage, source: reference, index });
    });
  }

  private later(delayMs: number, run: () => void): void {
    const { boots } = this;
    this.mesh.time.after(delayMs, () => {
      if (this.up && this.boots === boots) run();
    });
  }

  private stepRaft(event: RaftEvent<LedgerCommand>): void {
    const effects = stepRaft(this.raft, event);
    validateRaft(this.raft);
    for (const effect of effects) {
      if (effect.type === 'persist') this.persist(effect.sequence, effect.hard, effect.entries);
      else if (effect.type === 'apply') this.apply(effect.entries);
      else {
        assert.ok(effect.type === 'role-changed', `a sole voter has no use for ${effect.type}`);
        assert.ok(effect.term > this.termSeen, `I1: term ${effect.term} again`);
        this.termSeen = effect.term;
      }
    }
  }

  private persist(sequence: number, hard: HardState | undefined, entries: readonly LogEntry<LedgerCommand>[]): void {
    this.writing.push(...entries);
    const { time, chance } = this.mesh;
    this.persistedAtMs = Math.max(this.persistedAtMs, time.nowMs + chance.between(1, 60));
    this.later(this.persistedAtMs - time.nowMs, () => {
      if (hard !== undefined) this.disk.hard = hard;
      this.disk.entries.push(...this.writing.splice(0, entries.length));
      this.stepRaft({ type: 'persisted', nowMs: time.nowMs, sequence });
    });
  }

  private lastOnDisk(): number {
    return this.disk.entries.at(-1)?.index ?? this.disk.snapshot?.index ?? 0;
  }

  private apply(entries: readonly LogEntry<LedgerCommand>[]): void {
    const events: LedgerEvent[] = [];
    let elected: number | undefined;
    for (const { command, index, term } of entries) {
      if (command === undefined) {
        if (term === this.raft.hard.term) elected = term;
      } else {
        events.push(...applyCommand(this.planner.ledger, command));
        validateLedger(this.planner.ledger);
      }
      assert.equal(index, this.appliedIndex + 1, 'the log was applied out of order');
      assert.ok(index <= this.lastOnDisk(), 'I1: what is not on disk was applied');
      this.appliedIndex = index;
    }
    this.checkCommits(events);
    if (elected !== undefined) {
      assert.ok(this.raft.commitIndex >= this.commitSeen, 'I1: the committed index went back');
      for (const key of this.mesh.accepted) {
        assert.ok(
          this.planner.ledger.jobs.has(key) || this.planner.ledger.tombstones.has(key),
          `I3: job ${key} is lost`,
        );
      }
      this.feed({ type: 'elected', term: elected });
    } else if (events.length > 0) this.feed({ type: 'applied', events });
    this.commitSeen = Math.max(this.commitSeen, this.raft.commitIndex);
    if (this.mesh.chance.percent(5)) this.compact();
  }

  private checkCommits(events: readonly LedgerEvent[]): void {
    for (const event of events) {
      if (event.type !== 'task-committed') continue;
      const task = `${event.key}/${event.task}`;
      const before = this.committed.get(task);
      assert.ok(
        before === undefined || before === event.attempt,
        `I4: ${task} was committed by ${before} and by ${event.attempt}`,
      );
      this.committed.set(task, event.attempt);
    }
  }

  private compact(): void {
    const index = this.appliedIndex;
    const bytes = encodeCbor(snapshotLedger(this.planner.ledger));
    this.stepRaft({ type: 'compacted', index });
    const { snapshotIndex, snapshotTerm } = this.raft;
    this.disk.snapshot = { index: snapshotIndex, term: snapshotTerm, bytes };
    this.disk.entries = this.disk.entries.filter((entry) => entry.index > snapshotIndex);
  }
}
