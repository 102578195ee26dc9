import assert from 'node:assert/strict';
import {
  type Configuration,
  createRaft,
  type HardState,
  isFetchedFrom,
  type LogEntry,
  type RaftEffect,
  type RaftEvent,
  type RaftMessage,
  type RaftState,
  raftDueMs,
  stepRaft,
  validateRaft,
} from '@foremesh/node-runtime/core';
import type { RaftFleet } from './raft-fleet.ts';
import { textOf } from './raft-model.ts';

/** The state machine that the log drives: all it was given, in order. */
type Machine = readonly string[];

export interface RaftSnapshot {
  readonly index: number;
  readonly term: number;
  readonly configuration: Configuration;
  readonly machine: Machine;
}

type Write =
  | { readonly kind: 'write'; readonly hard?: HardState; readonly entries: readonly LogEntry<string>[] }
  | { readonly kind: 'snapshot'; readonly snapshot: RaftSnapshot };

export interface RaftDisk {
  hard: HardState;
  entries: LogEntry<string>[];
  snapshot: RaftSnapshot | undefined;
}

/** One voter on a virtual disk, under a clock of its own; driven as a driver over MQTT would. */
export class RaftNode {
  readonly id: string;
  readonly disk: RaftDisk = { hard: { term: 0 }, entries: [], snapshot: undefined };
  raft: RaftState<string> | undefined;
  machine: string[] = [];
  boots = 0;
  private readonly fleet: RaftFleet;
  private readonly founders: readonly string[];
  /** What is being written, oldest first. */
  private writing: Write[] = [];
  private writtenAtMs = 0;
  private fetched: RaftSnapshot | undefined;
  private clockRate = 1;
  private clockOffsetMs = 0;
  private pausedUntilMs = 0;
  private missed: RaftEvent<string>[] = [];
  private timer = 0;

  constructor(fleet: RaftFleet, id: string, founders: readonly string[]) {
    this.fleet = fleet;
    this.id = id;
    this.founders = founders;
  }

  start(): void {
    if (this.raft !== undefined) return;
    this.boots += 1;
    const { fleet, disk } = this;
    this.clockRate = 1 + (fleet.drift * (fleet.chance.next() * 2 - 1)) / 100;
    this.clockOffsetMs = fleet.chance.between(0, 1_000_000);
    const { snapshot } = disk;
    this.machine = [...(snapshot?.machine ?? [])];
    this.raft = createRaft<string>(
      this.id,
      this.founders,
      {
        hard: disk.hard,
        log: disk.entries,
        snapshotIndex: snapshot?.index ?? 0,
        snapshotTerm: snapshot?.term ?? 0,
        ...(snapshot === undefined ? {} : { snapshotConfiguration: snapshot.configuration }),
      },
      { profile: fleet.profile, appendEntries: 4, appendsInFlight: 3 },
    );
    fleet.model.restarted(this.id, this.raft);
    this.step({ type: 'start', nowMs: this.nowMs(), seed: fleet.chance.between(0, 2 ** 31) });
  }

  /** Of what was being written, any beginning may have reached the disk. */
  crash(): void {
    if (this.raft === undefined) return;
    this.raft = undefined;
    const { chance } = this.fleet;
    const whole = chance.between(0, this.writing.length);
    for (const write of this.writing.slice(0, whole)) this.toDisk(write);
    const torn = this.writing[whole];
    if (torn?.kind === 'write' && chance.percent(50)) {
      this.toDisk({ ...torn, entries: torn.entries.slice(0, chance.between(0, torn.entries.length)) });
    }
    this.writing = [];
    this.missed = [];
    this.pausedUntilMs = 0;
    this.fetched = undefined;
  }

  /** SIGSTOP: the clock goes on, nothing else does. */
  pause(forMs: number): void {
    this.pausedUntilMs = this.fleet.time.nowMs + forMs;
    this.later(forMs, () => {
      if (this.isPaused()) return;
      const { missed } = this;
      this.missed = [];
      for (const event of missed) this.step({ ...event, ...('nowMs' in event ? { nowMs: this.nowMs() } : {}) });
    });
  }

  isPaused(): boolean {
    return this.fleet.time.nowMs < this.pausedUntilMs;
  }

  nowMs(): number {
    return this.clockOffsetMs + this.fleet.time.nowMs * this.clockRate;
  }

  hear(from: string, message: RaftMessage<string>): void {
    if (this.raft !== undefined) this.step({ type: 'receive', nowMs: this.nowMs(), from, message });
  }

  suspect(node: string): void {
    if (this.raft !== undefined) this.step({ type: 'suspected', nowMs: this.nowMs(), node });
  }

  propose(commands: readonly string[]): boolean {
    if (this.raft?.role !== 'leader' || this.isPaused()) return false;
    this.step({ type: 'propose', commands });
    return true;
  }

  changeVoters(voters: readonly string[], learners: readonly string[]): void {
    if (!this.isPaused()) this.step({ type: 'change-voters', voters, learners });
  }

  private step(event: RaftEvent<string>): void {
    const { raft } = this;
    if (raft === undefined) return;
    if (this.isPaused()) {
      this.missed.push(event);
      return;
    }
    const before = raft.commitIndex;
    const effects = stepRaft(raft, event);
    try {
      this.fleet.note(this.id, event, effects);
      validateRaft(raft);
      for (const effect of effects) this.perform(raft, effect);
      this.fleet.model.stepped(this.id, raft);
      if (raft.role === 'leader' && raft.commitIndex > before) this.fleet.checkDurable(raft);
    } finally {
      this.fleet.steps += 1;
    }
    this.setTimer();
  }

  private perform(raft: RaftState<string>, effect: RaftEffect<string>): void {
    switch (effect.type) {
      case 'role-changed':
        if (effect.role === 'leader') {
          this.fleet.checkElected(raft);
          this.fleet.checkLeases();
          this.fleet.model.led(this.id, effect.term, raft);
        }
        return;
      case 'persist':
        this.write(
          { kind: 'write', ...(effect.hard === undefined ? {} : { hard: effect.hard }), entries: effect.entries },
          effect.sequence,
        );
        return;
      case 'install-snapshot': {
        const snapshot = this.fetched;
        assert.ok(snapshot?.index === effect.index && snapshot.term === effect.term, 'a snapshot that was not fetched');
        assert.deepEqual(snapshot.configuration, effect.configuration);
        this.machine = [...snapshot.machine];
        this.write({ kind: 'snapshot', snapshot }, effect.sequence);
        return;
      }
      case 'apply':
        for (const entry of effect.entries) {
          assert.equal(entry.index, this.machine.length + 1, `${this.id} applies out of order`);
          this.machine.push(textOf(entry));
        }
        this.fleet.model.applied(this.id, raft.hard.term, effect.entries);
        if (this.fleet.chance.percent(this.fleet.compactPercent)) this.compact(raft);
        return;
      case 'send':
        this.fleet.send(this.id, effect.to, effect.message);
        return;
      case 'fetch-snapshot':
        this.fetch(effect.from, effect.index, effect.term);
    }
  }

  private write(write: Write, sequence?: number): void {
    this.writing.push(write);
    const { time, chance } = this.fleet;
    this.writtenAtMs = Math.max(this.writtenAtMs, time.nowMs + chance.between(1, this.fleet.fsyncMs));
    this.later(this.writtenAtMs - time.nowMs, () => {
      this.toDisk(this.writing.shift()!);
      if (sequence !== undefined) this.step({ type: 'persisted', nowMs: this.nowMs(), sequence });
    });
  }

  private toDisk(write: Write): void {
    const { disk } = this;
    if (write.kind === 'write') {
      if (write.hard !== undefined) disk.hard = write.hard;
      for (const entry of write.entries) this.entryToDisk(entry);
      return;
    }
    const { index, term } = write.snapshot;
    const fits = disk.entries.some((entry) => entry.index === index && entry.term === term);
    disk.entries = fits ? disk.entries.filter((entry) => entry.index > index) : [];
    disk.snapshot = write.snapshot;
  }

  private entryToDisk(entry: LogEntry<string>): void {
    const { entries, snapshot } = this.disk;
    const at = entry.index - (snapshot?.index ?? 0) - 1;
    assert.ok(at >= 0 && at <= entries.length, `${this.id} leaves a gap on its disk before ${entry.index}`);
    if (entries[at]?.term === entry.term) return;
    entries.length = at;
    entries.push(entry);
  }

  private compact(raft: RaftState<string>): void {
    const index = this.machine.length;
    if (index !== raft.commitIndex || isFetchedFrom(raft)) return;
    for (const effect of stepRaft(raft, { type: 'compacted', index })) this.perform(raft, effect);
    const snapshot = {
      index,
      term: raft.snapshotTerm,
      configuration: raft.configurations[0]!.configuration,
      machine: [...this.machine],
    };
    this.write({ kind: 'snapshot', snapshot });
  }

  private fetch(from: string, index: number, term: number): void {
    this.fleet.fetch(this.id, from, (snapshot) => {
      const done = snapshot !== undefined && snapshot.index >= index;
      if (done) this.fetched = snapshot;
      if (!done) this.step({ type: 'snapshot-failed', index, term });
      else {
        const { machine: _, ...described } = snapshot;
        this.step({ type: 'snapshot-fetched', nowMs: this.nowMs(), ...described });
      }
    });
  }

  private setTimer(): void {
    const dueMs = this.raft === undefined ? undefined : raftDueMs(this.raft);
    this.timer += 1;
    if (dueMs === undefined) return;
    const { timer } = this;
    const delayMs = Math.max(1, (dueMs - this.nowMs()) / this.clockRate);
    this.later(delayMs, () => {
      if (timer === this.timer) this.step({ type: 'tick', nowMs: this.nowMs() });
    });
  }

  /** Unless it has crashed by then. */
  later(delayMs: number, run: () => void): void {
    const { boots } = this;
    this.fleet.time.after(delayMs, () => {
      if (this.raft !== undefined && this.boots === boots) run();
    });
  }
}
