import assert from 'node:assert/strict';
import {
  type Configuration,
  changeProblem,
  type HardState,
  holdsLease,
  membersOf,
  type RaftEffect,
  type RaftEvent,
  type RaftMessage,
  type RaftProfile,
  type RaftState,
  raftProfiles,
  termAt,
} from '@foremesh/node-runtime/core';
import { Chance } from '../../../simulations/engine/chance.ts';
import { Timeline } from '../../../simulations/engine/timeline.ts';
import { RaftModel } from './raft-model.ts';
import { RaftNode, type RaftSnapshot } from './raft-node.ts';

const names = ['ada', 'bob', 'cyd', 'dan', 'eve', 'fay'];
/** The last of these are shown when a run fails. */
const storyLines = 60;

/** Voters on a network that loses, doubles, delays, and cuts: one seed is one run. */
export class RaftFleet {
  readonly chance: Chance;
  readonly time = new Timeline();
  readonly model = new RaftModel();
  readonly nodes = new Map<string, RaftNode>();
  readonly profile: RaftProfile;
  readonly drift: number;
  readonly fsyncMs: number;
  readonly compactPercent: number;
  readonly story: string[] = [];
  steps = 0;
  proposed = 0;
  private faulty = true;
  private readonly changesMembers: boolean;
  private readonly suspects: boolean;
  private readonly cut = new Set<string>();
  private readonly lossPercent: number;
  private readonly doublePercent: number;
  private readonly latePercent: number;

  constructor(seed: number) {
    const chance = new Chance(seed);
    this.chance = chance;
    this.profile = chance.percent(60) ? raftProfiles.lan : raftProfiles.edge;
    this.drift = chance.pick([0, 1, 4]);
    this.fsyncMs = chance.pick([2, 20, 300]);
    this.compactPercent = chance.pick([0, 3, 30]);
    this.lossPercent = chance.pick([0, 2, 10, 30]);
    this.doublePercent = chance.pick([0, 5, 20]);
    this.latePercent = chance.pick([0, 1, 5]);
    this.changesMembers = chance.percent(50);
    this.suspects = chance.percent(30);
    const founders = names.slice(0, chance.pick([1, 3, 3, 3, 5]));
    const size = this.changesMembers ? names.length : founders.length;
    for (const id of names.slice(0, size))
      this.nodes.set(id, new RaftNode(this, id, founders.includes(id) ? founders : []));
  }

  run(): void {
    try {
      for (const node of this.nodes.values()) node.start();
      this.clients();
      this.faults();
      this.runUntil(this.chance.between(20, 60) * this.profile.electionMostMs);
      this.heal();
    } catch (error) {
      (error as Error).message += `\n${this.story.join('\n')}`;
      throw error;
    }
  }

  private runUntil(untilMs: number, reached: () => boolean = () => false): void {
    this.time.advance(untilMs, () => {
      if (this.steps % 64 === 0) this.model.compareLogs(this.running());
      return reached();
    });
  }

  running(): RaftState<string>[] {
    return [...this.nodes.values()].flatMap(({ raft }) => (raft === undefined ? [] : [raft]));
  }

  note(id: string, event: RaftEvent<string>, effects: readonly RaftEffect<string>[]): void {
    const shown = [event, ...effects].map((each) => JSON.stringify(each));
    this.story.push(`${Math.round(this.time.nowMs)} ${id} ${shown.join(' ')}`);
    if (this.story.length > storyLines) this.story.shift();
  }

  send(from: string, to: string, message: RaftMessage<string>): void {
    const { chance } = this;
    this.checkPromise(from, to, message);
    if (this.isCut(from, to) || (this.faulty && chance.percent(this.lossPercent))) return;
    const copies = this.faulty && chance.percent(this.doublePercent) ? 2 : 1;
    for (let n = 0; n < copies; n += 1) {
      // Late: flushed by a client that was away.
      const late = this.faulty && chance.percent(this.latePercent);
      const delayMs = late ? chance.between(100, 3 * this.profile.electionMostMs) : chance.between(1, 40);
      this.time.after(delayMs, () => {
        if (late || !this.isCut(from, to)) this.nodes.get(to)?.hear(from, message);
      });
    }
  }

  /** What a message promises must be on the sender's disk: a crash now takes nothing of it back. */
  private checkPromise(from: string, to: string, message: RaftMessage<string>): void {
    const { hard, entries, snapshot } = this.nodes.get(from)!.disk;
    if (message.type !== 'pre-vote-request' && message.type !== 'pre-vote-answer') {
      assert.ok(hard.term >= message.term, `${from} speaks of term ${message.term}, its disk of ${hard.term}`);
    }
    if (message.type === 'vote-request')
      assert.ok(isVote(hard, message.term, from), `${from} asks without its own vote`);
    if (message.type === 'vote-answer' && message.granted) {
      assert.ok(isVote(hard, message.term, to), `${from} gives a vote to ${to} that it may give again`);
    }
    if (message.type === 'append-answer' && message.match !== undefined) {
      const last = entries.at(-1)?.index ?? snapshot?.index ?? 0;
      assert.ok(message.match <= last, `${from} says it has ${message.match}, its disk has ${last}`);
    }
  }

  fetch(to: string, from: string, done: (snapshot: RaftSnapshot | undefined) => void): void {
    const node = this.nodes.get(to)!;
    node.later(this.chance.between(20, 2_000), () => {
      const source = this.nodes.get(from)!;
      const lost = this.isCut(from, to) || source.raft === undefined || source.isPaused();
      done(lost || (this.faulty && this.chance.percent(20)) ? undefined : source.disk.snapshot);
    });
  }

  private isCut(from: string, to: string): boolean {
    return this.cut.has(`${from}>${to}`);
  }

  private clients(): void {
    const propose = () => {
      const leaders = [...this.nodes.values()].filter(({ raft }) => raft?.role === 'leader');
      if (leaders.length > 0) {
        const commands = Array.from({ length: this.chance.between(1, 5) }, () => this.newCommand());
        this.chance.pick(leaders).propose(commands);
      }
      this.time.after(this.chance.between(1, this.profile.heartbeatMs * 2), propose);
    };
    propose();
  }

  private newCommand(): string {
    this.proposed += 1;
    return `c${this.proposed}`;
  }

  private faults(): void {
    const fault = () => {
      if (!this.faulty) return;
      this.oneFault();
      this.time.after(this.chance.between(10, this.profile.electionMostMs), fault);
    };
    fault();
  }

  private oneFault(): void {
    const { chance, time, profile } = this;
    const node = chance.pick([...this.nodes.values()]);
    const leaders = [...this.nodes.values()].filter(({ raft }) => raft?.role === 'leader');
    const victim = leaders.length > 0 && chance.percent(40) ? chance.pick(leaders) : node;
    switch (chance.between(0, 8)) {
      case 0:
      case 1:
        victim.crash();
        time.after(chance.between(0, 2 * profile.electionMostMs), () => victim.start());
        return;
      case 2:
        if (victim.raft !== undefined) victim.pause(chance.between(10, 3 * profile.electionMostMs));
        return;
      case 3:
        this.partition(victim.id, chance.percent(50), true);
        return;
      case 4:
        this.partition(victim.id, true, false);
        return;
      case 5:
        this.cut.clear();
        return;
      case 6: {
        if (!this.suspects) return;
        for (const each of this.nodes.values()) if (chance.percent(70)) each.suspect(victim.id);
        return;
      }
      default:
        if (this.changesMembers && leaders.length > 0) this.change(chance.pick(leaders));
    }
  }

  private partition(id: string, alone: boolean, bothWays: boolean): void {
    const side = new Set([id, ...(alone ? [] : [...this.nodes.keys()].filter(() => this.chance.percent(40)))]);
    for (const a of this.nodes.keys()) {
      for (const b of this.nodes.keys()) {
        if (side.has(a) === side.has(b)) continue;
        if (side.has(a) || bothWays) this.cut.add(`${a}>${b}`);
      }
    }
  }

  private change(leader: RaftNode): void {
    const shuffled = [...this.nodes.keys()].map((id) => ({ id, at: this.chance.next() })).sort((a, b) => a.at - b.at);
    const ids = shuffled.map(({ id }) => id);
    const count = this.chance.pick([1, 2, 3, 3, 4, 5]);
    const voters = ids.slice(0, count);
    const learners = ids.slice(count, count + this.chance.between(0, 1));
    if (changeProblem(leader.raft!, voters, learners) === undefined) leader.changeVoters(voters, learners);
  }

  /** A lease is worth nothing if a newer leader can be there: with clocks that run alike, and nobody suspected, none can. */
  checkLeases(): void {
    if (this.suspects) return;
    const nodes = [...this.nodes.values()].filter(({ raft }) => raft?.role === 'leader');
    for (const { id, raft, nowMs } of nodes.map((node) => ({ id: node.id, raft: node.raft!, nowMs: node.nowMs() }))) {
      if (!holdsLease(raft, nowMs)) continue;
      const newer = nodes.find((other) => other.raft!.hard.term > raft.hard.term);
      assert.equal(
        newer?.id,
        undefined,
        `lease: ${id} holds it in term ${raft.hard.term}, and there is a newer leader`,
      );
    }
  }

  /** When a leader commits, a majority of the voters' disks has it, and an entry of its own term: nobody without wins. */
  checkDurable(leader: RaftState<string>): void {
    const index = Math.max(leader.commitIndex, leader.firstIndexOfTerm);
    const term = termAt(leader, index);
    const at = leader.configurations.findLast((each) => each.index <= leader.commitIndex) ?? leader.configurations[0]!;
    // A change that follows may commit what is before it with its own majority: either will do.
    const now = leader.configurations.at(-1)!;
    const has = (id: string) => {
      const { entries, snapshot } = this.nodes.get(id)!.disk;
      const covered = snapshot?.index ?? 0;
      return index <= covered || entries[index - covered - 1]?.term === term;
    };
    const enough = [at, now].some(({ configuration }) => isMajority(configuration, has));
    assert.ok(enough, `${leader.id} commits ${index}, which is not on a majority of disks`);
  }

  /** When one leads, a majority of the voters' disks shows their votes. */
  checkElected({ id, hard, configurations }: RaftState<string>): void {
    const gave = (voter: string) => isVote(this.nodes.get(voter)!.disk.hard, hard.term, id);
    const elected = isMajority(configurations.at(-1)!.configuration, gave);
    assert.ok(elected, `${id} leads in term ${hard.term} without the votes of a majority`);
  }

  /** Faults stop: a leader within bounded time, and all that is proposed goes through. */
  private heal(): void {
    this.faulty = false;
    this.cut.clear();
    for (const node of this.nodes.values()) {
      node.pause(0);
      node.start();
    }
    // What was flushed late is still under way for a while.
    const from = this.time.nowMs;
    const leaders = () => this.running().filter(({ role }) => role === 'leader');
    this.runUntil(
      from + 12 * this.profile.electionMostMs,
      () => leaders().length > 0 && this.time.nowMs > from + 4 * this.profile.electionMostMs,
    );
    assert.ok(leaders().length > 0, 'no leader though all faults have stopped');
    const wanted = this.model.committed.length + 20;
    this.runUntil(this.time.nowMs + 10 * this.profile.electionMostMs, () => this.isSettled(wanted));
    assert.ok(this.isSettled(wanted), `not all that was proposed went through: ${this.describe()}`);
    const [leader] = leaders();
    for (const member of membersOf(leader!.configurations.at(-1)!.configuration)) {
      const { machine } = this.nodes.get(member)!;
      const expected = this.model.committed.slice(0, machine.length).map(({ text }) => text);
      assert.deepEqual(machine, expected, `${member} has applied something else`);
    }
  }

  private isSettled(wanted: number): boolean {
    const leaders = this.running().filter(({ role }) => role === 'leader');
    const leader = leaders[0];
    if (leader === undefined || leaders.length > 1) return false;
    const { index, configuration } = leader.configurations.at(-1)!;
    if (configuration.outgoing !== undefined || index > leader.commitIndex) return false;
    return membersOf(configuration).every((member) => this.nodes.get(member)!.machine.length >= wanted);
  }

  private describe(): string {
    return this.running()
      .map(
        ({ id, role, hard, commitIndex, configurations }) =>
          `${id} ${role} term ${hard.term} commit ${commitIndex} ${JSON.stringify(configurations.at(-1))}`,
      )
      .join('; ');
  }
}

/** Whether the disk shows this vote, or that its term is over. */
function isVote(hard: HardState, term: number, candidate: string): boolean {
  return hard.term > term || (hard.term === term && hard.votedFor === candidate);
}

/** Of both sets, while the voters change. */
function isMajority({ voters, outgoing }: Configuration, has: (id: string) => boolean): boolean {
  return [voters, ...(outgoing === undefined ? [] : [outgoing])].every(
    (set) => 2 * set.filter(has).length > set.length,
  );
}
