import {
  applyCommand,
  type Configuration,
  createLedger,
  isVoter,
  type LedgerCommand,
  type LedgerEvent,
  type LogEntry,
  type RaftMessage,
  type RaftState,
  sameConfiguration,
  snapshotLedger,
  termAt,
  type VoterEffect,
  type VoterSnapshot,
} from '@foremesh/node-runtime/core';
import { type DurableLog, lastDurableIndex } from '../drivers/log-store.ts';
import { plainText } from '../engine/plain-text.ts';
import { check } from './violation.ts';

type Raft = RaftState<LedgerCommand>;
type Entry = LogEntry<LedgerCommand>;

interface ConfigurationAt {
  readonly index: number;
  readonly configuration: Configuration;
}

interface Committed {
  readonly text: string;
  readonly command: LedgerCommand | undefined;
  readonly term: number;
  /** The term of whoever applied it first. */
  readonly inTerm: number;
}

/** I1, seen from outside: all voters at once, and what is on their disks. */
export class LogChecks {
  /** The log as it was committed, wherever: the index of an entry minus one. */
  readonly committed: Committed[] = [];
  /** What the log makes of the jobs. */
  readonly ledger = createLedger();
  readonly #disks = new Map<string, DurableLog>();
  readonly #lostDisks = new Set<string>();
  /** Those that were ever written, and of these the committed ones. */
  readonly #configurations: ConfigurationAt[];
  readonly #committedConfigurations: ConfigurationAt[];
  readonly #leaders = new Map<number, string>();
  readonly #entries = new Map<string, string>();
  readonly #commitIndexes = new Map<string, number>();
  /** Of these, what was on the voter's own disk. */
  readonly #kept = new Map<string, number>();
  readonly #terms = new Map<string, number>();
  /** Committed by a snapshot that need not be on the disk yet: nothing is answered before it is. */
  readonly #installed = new Map<string, number>();

  constructor(founder: string) {
    const first = { index: 0, configuration: { voters: [founder], learners: [] } };
    this.#configurations = [first];
    this.#committedConfigurations = [first];
  }

  get configuration(): Configuration {
    return this.#committedConfigurations.at(-1)!.configuration;
  }

  get votersMost(): number {
    return Math.max(...this.#committedConfigurations.map(({ configuration }) => configuration.voters.length));
  }

  get terms(): number {
    return this.#leaders.size;
  }

  // Disks.

  /** A process of the voter starts: the disk must still have all that it answered for, the memory need not. */
  opened(voter: string, durable: DurableLog, hard: DurableLog['hard']): void {
    const forgot = `${voter} starts with ${JSON.stringify(hard)}, on its disk is ${JSON.stringify(durable.hard)}`;
    check(hard.term === durable.hard.term && hard.votedFor === durable.hard.votedFor, 'I1', forgot);
    const before = this.#disks.get(voter);
    const term = before?.hard.term ?? 0;
    check(durable.hard.term >= term, 'I1', `${voter} forgot term ${term}`);
    const kept = this.#kept.get(voter) ?? 0;
    const last = lastDurableIndex(durable);
    check(last >= kept, 'I1', `${voter} had committed ${kept}, its disk ends with ${last}`);
    this.#disks.set(voter, durable);
    this.#commitIndexes.set(voter, durable.snapshotIndex);
    this.#terms.set(voter, durable.hard.term);
    this.#installed.delete(voter);
  }

  /** Whether the mesh must survive it: at most a minority of any set of voters, now or perhaps soon, may forget. */
  mayLoseDisk(id: string): boolean {
    const { index } = this.#committedConfigurations.at(-1)!;
    const sets = this.#configurations
      .filter((each) => each.index >= index)
      .flatMap((each) => setsOf(each.configuration));
    return sets.every((voters) => {
      const left = voters.filter((voter) => voter !== id && !this.#lostDisks.has(voter));
      return !voters.includes(id) || 2 * left.length > voters.length;
    });
  }

  diskWasLost(id: string): void {
    this.#disks.delete(id);
    this.#lostDisks.add(id);
  }

  isLost(id: string): boolean {
    return this.#lostDisks.has(id);
  }

  // What a voter does.

  becameLeader(raft: Raft): void {
    const { id, hard, snapshotIndex } = raft;
    const { term } = hard;
    const other = this.#leaders.get(term);
    check(other === undefined, 'I1', `${id} leads in term ${term}, in which ${other} has led`);
    this.#leaders.set(term, id);
    const { configuration } = raft.configurations.at(-1)!;
    const gave = (voter: string) => this.#lostDisks.has(voter) || isVote(this.#disks.get(voter)?.hard, term, id);
    check(isMajority(configuration, gave), 'I1', `${id} leads in term ${term} without the votes of a majority`);
    for (const [offset, entry] of this.committed.entries()) {
      const index = offset + 1;
      // What was committed in this term or a later one is no business of an election that is over.
      if (entry.inTerm >= term || index <= snapshotIndex) continue;
      check(termAt(raft, index) === entry.term, 'I1', `${id} leads in term ${term} without entry ${index}`);
    }
  }

  /** A process that was stopped for longer than any lease may not go on leading as if nothing had happened. */
  slept(
    raft: Raft,
    before: { readonly role: string; readonly term: number; readonly configuration: Configuration },
    forMs: number,
  ): void {
    if (before.role !== 'leader' || forMs <= raft.options.profile.electionLeastMs) return;
    // Nobody else can have been elected while it alone had a vote, whatever it makes of the voters as it wakes.
    const { configuration } = before;
    if (configuration.outgoing === undefined && configuration.voters.length === 1) return;
    const goesOn = raft.role === 'leader' && raft.hard.term === before.term;
    check(!goesOn, 'stale', `${raft.id} slept for ${forMs} ms and goes on leading in term ${before.term}`);
  }

  /** A vote is given once, and an index and a term name one entry. */
  writes(voter: string, { hard, entries }: VoterEffect & { type: 'persist' }): void {
    const before = this.#disks.get(voter)!.hard;
    if (hard !== undefined && hard.term === before.term && before.votedFor !== undefined) {
      const twice = `${voter} votes for ${hard.votedFor} in term ${hard.term}, it has voted for ${before.votedFor}`;
      check(hard.votedFor === before.votedFor, 'I1', twice);
    }
    for (const entry of entries) {
      const key = `${entry.index}:${entry.term}`;
      const text = textOf(entry);
      const known = this.#entries.get(key);
      check(known === undefined || known === text, 'I1', `entry ${key} of ${voter} is ${text}, was ${known}`);
      this.#entries.set(key, text);
      const { index, configuration } = entry;
      if (configuration !== undefined && known === undefined) this.#configurations.push({ index, configuration });
    }
  }

  /** What a message promises must be on the sender's disk: a crash now takes nothing of it back. */
  sends({ id, options }: Raft, { to, message }: VoterEffect & { type: 'send-raft' }, sinceStartMs: number): void {
    const { hard, ...disk } = this.#disks.get(id)!;
    if (message.type === 'pre-vote-request' || message.type === 'pre-vote-answer') return;
    check(hard.term >= message.term, 'I1', `${id} speaks of term ${message.term}, its disk of ${hard.term}`);
    if (message.type === 'vote-request')
      check(isVote(hard, message.term, id), 'I1', `${id} asks for votes without its own`);
    if (message.type === 'vote-answer' && message.granted) {
      check(isVote(hard, message.term, to), 'I1', `${id} gives ${to} a vote that it may give again`);
      const early = `${id} votes ${sinceStartMs} ms after its start: it may have promised a leader to wait`;
      check(sinceStartMs >= options.profile.electionLeastMs, 'early vote', early);
    }
    if (message.type === 'append-answer') this.#checkMatch(id, message, { hard, ...disk });
  }

  #checkMatch(id: string, { match }: RaftMessage<LedgerCommand> & { type: 'append-answer' }, disk: DurableLog): void {
    if (match === undefined) return;
    const last = lastDurableIndex(disk);
    check(match <= last, 'I1', `${id} says that it has ${match}, its disk ends with ${last}`);
  }

  /** After every step of a voter's log. */
  moved(raft: Raft): void {
    const { id, hard, commitIndex, role } = raft;
    const before = this.#commitIndexes.get(id) ?? 0;
    check(hard.term >= (this.#terms.get(id) ?? 0), 'I1', `${id} went back to term ${hard.term}`);
    check(commitIndex >= before, 'I1', `${id} went back to commit ${commitIndex}`);
    const onDisk = lastDurableIndex(this.#disks.get(id)!);
    const covered = Math.max(onDisk, this.#installed.get(id) ?? 0);
    check(commitIndex <= covered, 'I1', `${id} committed ${commitIndex}, on its disk is ${onDisk}`);
    this.#terms.set(id, hard.term);
    this.#commitIndexes.set(id, commitIndex);
    this.#kept.set(id, Math.max(this.#kept.get(id) ?? 0, Math.min(commitIndex, onDisk)));
    if (role === 'leader' && commitIndex > before) this.#checkDurable(raft);
    if (commitIndex > before) this.#checkConfigurations(raft);
  }

  /** Who votes is what the log says, up to what is committed. */
  #checkConfigurations({ id, configurations, commitIndex }: Raft): void {
    for (const { index, configuration } of configurations) {
      if (index === 0 || index > commitIndex) continue; // a newcomer knows nobody before it has read the log
      const [found, wanted] = [configuration, this.#configurationAt(index)];
      const wrong = `${id} takes ${JSON.stringify(found)} for the voters at ${index}, not ${JSON.stringify(wanted)}`;
      check(sameConfiguration(found, wanted), 'I1', wrong);
    }
  }

  /** When a leader commits, a majority of the voters' disks has it, and an entry of its own term: nobody without wins. */
  #checkDurable(leader: Raft): void {
    const index = Math.max(leader.commitIndex, leader.firstIndexOfTerm);
    const term = termAt(leader, index);
    const at = leader.configurations.findLast((each) => each.index <= leader.commitIndex) ?? leader.configurations[0]!;
    // A change that follows may commit what is before it with its own majority: either will do.
    const now = leader.configurations.at(-1)!;
    const has = (id: string) => {
      if (this.#lostDisks.has(id)) return true; // it had it when it said so
      const disk = this.#disks.get(id);
      return disk !== undefined && (index <= disk.snapshotIndex || disk.terms[index - disk.snapshotIndex - 1] === term);
    };
    const enough = [at, now].some(({ configuration }) => isMajority(configuration, has));
    check(enough, 'I1', `${leader.id} commits ${index}, which is not on a majority of disks`);
  }

  /** Returns what it did to the jobs when it is the first time that anybody applies this entry. */
  applied({ id, hard }: Raft, entry: Entry, expectedIndex: number): readonly LedgerEvent[] {
    const { index, term, command, configuration } = entry;
    check(index === expectedIndex, 'I1', `${id} applied ${index}, not ${expectedIndex}`);
    const text = textOf(entry);
    const known = this.committed[index - 1];
    if (known !== undefined) {
      check(known.text === text, 'I1', `${id} applied ${text} as entry ${index}, it was ${known.text}`);
      return [];
    }
    check(index === this.committed.length + 1, 'I1', `entry ${index} was committed before those ahead of it`);
    this.committed.push({ text, command, term, inTerm: hard.term });
    if (configuration !== undefined) this.#committedConfigurations.push({ index, configuration });
    return command === undefined ? [] : applyCommand(this.ledger, command);
  }

  /** A snapshot, made or taken, is what the log says up to there: the jobs and the voters. */
  snapshot(voter: string, { index, configuration, ledger }: VoterSnapshot): void {
    check(index <= this.committed.length, 'I1', `${voter} has a snapshot of ${index}, which is not committed`);
    this.#installed.set(voter, Math.max(this.#installed.get(voter) ?? 0, index));
    const wanted = this.#configurationAt(index);
    const found = JSON.stringify(configuration);
    check(
      sameConfiguration(configuration, wanted),
      'I1',
      `the snapshot ${index} of ${voter} is of voters ${found}, not ${JSON.stringify(wanted)}`,
    );
    this.sameAsLog(voter, index, ledger);
  }

  #configurationAt(index: number): Configuration {
    return this.#committedConfigurations.findLast((each) => each.index <= index)!.configuration;
  }

  /** The ledger of a voter is what its log says, however often it was restored from a snapshot meanwhile. */
  sameAsLog(voter: string, index: number, ledger: unknown): void {
    const fresh = createLedger();
    for (const { command } of this.committed.slice(0, index)) if (command !== undefined) applyCommand(fresh, command);
    const [wanted, found] = [plainText(snapshotLedger(fresh)), plainText(ledger)];
    let at = 0;
    while (at < wanted.length && wanted[at] === found[at]) at += 1;
    const around = (which: string) => which.slice(Math.max(0, at - 60), at + 60);
    check(
      wanted === found,
      'ledger',
      `the ledger of ${voter} has ...${around(found)}..., by the log ...${around(wanted)}...`,
    );
  }

  /** The ledger of a new leader is as new as any: it has applied all that leaders before it committed. */
  isAsNew(raft: Raft, appliedIndex: number): void {
    const newest = this.committed.findLastIndex(({ inTerm }) => inTerm < raft.hard.term) + 1;
    check(appliedIndex >= newest, 'I3', `${raft.id} plans from entry ${appliedIndex}, ${newest} is committed`);
  }

  /** It has a vote in what is committed. */
  votes(id: string): boolean {
    return isVoter(this.configuration, id);
  }
}

/** The same for equal entries, in whatever order their fields came over the wire. */
function textOf({ index, term, command, configuration }: Entry): string {
  if (configuration === undefined)
    return `${index}:${term} ${command === undefined ? 'a new term' : plainText(command)}`;
  const { voters, outgoing, learners } = configuration;
  return `${index}:${term} ${JSON.stringify([voters, outgoing, learners])}`;
}

function setsOf({ voters, outgoing }: Configuration): (readonly string[])[] {
  return outgoing === undefined ? [voters] : [voters, outgoing];
}

/** Whether the disk shows this vote, or that its term is over. */
function isVote(hard: DurableLog['hard'] | undefined, term: number, candidate: string): boolean {
  return hard !== undefined && (hard.term > term || (hard.term === term && hard.votedFor === candidate));
}

/** Of both sets, while the voters change. */
function isMajority(configuration: Configuration, has: (id: string) => boolean): boolean {
  return setsOf(configuration).every((set) => 2 * set.filter(has).length > set.length);
}
