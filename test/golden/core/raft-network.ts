import {
  type Configuration,
  createRaft,
  type HardState,
  type LogEntry,
  lastIndex,
  leaseUntilMs,
  type RaftEffect,
  type RaftEvent,
  type RaftMessage,
  type RaftState,
  raftDueMs,
  raftProfiles,
  stepRaft,
  validateRaft,
} from '@foremesh/node-runtime/core';
import type { Options } from './golden.ts';

interface Letter {
  readonly from: string;
  readonly to: string;
  readonly message: RaftMessage<string>;
}

/** Voters by name, the letters between them, and the writes that are not on disk yet: all under the hand of a text. */
export class RaftNetwork {
  private readonly rafts = new Map<string, RaftState<string>>();
  private readonly letters: Letter[] = [];
  private readonly writes = new Map<string, number>();
  private readonly lost = new Set<string>();
  private nowMs = 0;

  execute(command: string, words: string[], options: Options): string[] {
    const [id = 'ada'] = words;
    switch (command) {
      case 'new':
        return this.create(id, options);
      case 'cluster':
        return words.flatMap((each, n) => {
          this.create(each, options, words);
          return this.step(each, { type: 'start', nowMs: this.nowMs, seed: n + 1 });
        });
      case 'elect':
        // Long enough after whatever was heard from a leader.
        this.nowMs += 12_000;
        this.step(id, { type: 'tick', nowMs: this.nowMs });
        return this.settle([]);
      case 'at':
        this.nowMs = Number(words[0]);
        return [];
      case 'beat':
        for (let n = 0; n < Number(words[1]); n += 1) {
          this.nowMs += 1_000;
          this.step(id, { type: 'tick', nowMs: this.nowMs });
          this.settle([]);
        }
        return this.settle([]);
      case 'wait':
        this.nowMs += Number(words[0]);
        return [];
      case 'cut':
        for (const pair of words) this.lost.add(pair);
        return [];
      case 'mend':
        this.lost.clear();
        return [];
      case 'letters':
        return this.letters.map(({ from, to, message }) => `${from}>${to} ${showMessage(message)}`);
      case 'lose':
        return this.takeLetters(words).map(({ from, to, message }) => `${from}>${to} ${showMessage(message)}`);
      case 'deliver':
        return this.deliver(words, options.text('keep') === 'yes');
      case 'settle':
        return this.settle(words);
      case 'show':
        return (words.length === 0 ? [...this.rafts.keys()] : words).map((each) => show(this.rafts.get(each)!));
      case 'progress':
        return [...this.rafts.get(id)!.progress].map(
          ([member, { match, next, mode, inFlight }]) =>
            `${member} ${mode} match=${match} next=${next} inFlight=[${inFlight}]`,
        );
      case 'due':
        return [String(Math.round(raftDueMs(this.rafts.get(id)!) ?? Number.POSITIVE_INFINITY))];
      case 'lease':
        return [String(Math.round(leaseUntilMs(this.rafts.get(id)!)))];
      default:
        return this.step(id, eventOf(command, words.slice(1), options, this.nowMs));
    }
  }

  private create(id: string, options: Options, voters: readonly string[] = options.list('voters')): string[] {
    const [snapshotIndex, snapshotTerm] = options.text('snapshot', '0:0').split(':').map(Number) as [number, number];
    const log = options.list('log').map(entryOf);
    const voted = options.text('voted');
    const hard: HardState = { term: options.number('term'), ...(voted === '' ? {} : { votedFor: voted }) };
    const restored = { hard, log, snapshotIndex, snapshotTerm };
    const limits = { appendEntries: options.number('batch', 1_024), appendsInFlight: options.number('window', 8) };
    const raft = createRaft<string>(id, voters, restored, { profile: raftProfiles.edge, ...limits });
    this.rafts.set(id, raft);
    this.writes.delete(id);
    return [show(raft)];
  }

  private step(id: string, event: RaftEvent<string>): string[] {
    const raft = this.rafts.get(id);
    if (raft === undefined) throw new Error(`there is no ${id}`);
    const effects = stepRaft(raft, event);
    validateRaft(raft);
    for (const effect of effects) {
      if (effect.type === 'send') this.letters.push({ from: id, to: effect.to, message: effect.message });
      if (effect.type === 'persist' || effect.type === 'install-snapshot') this.writes.set(id, effect.sequence);
    }
    return [...effects.map(showEffect), show(raft)];
  }

  /** Letters of these pairs (`ada>bob`, `ada>`, `>bob`), of this type (`vote-request`), or all. */
  private takeLetters(words: readonly string[]): Letter[] {
    const wanted = ({ from, to, message }: Letter) =>
      words.length === 0 || words.some((word) => [`${from}>${to}`, `${from}>`, `>${to}`, message.type].includes(word));
    const taken = this.letters.filter(wanted);
    this.letters.splice(0, this.letters.length, ...this.letters.filter((letter) => !taken.includes(letter)));
    return taken;
  }

  private deliver(words: readonly string[], keep: boolean): string[] {
    const taken = this.takeLetters(words);
    if (keep) this.letters.push(...taken);
    return taken.flatMap((letter) => this.deliverOne(letter));
  }

  private deliverOne({ from, to, message }: Letter): string[] {
    const head = `${from}>${to} ${showMessage(message)}`;
    if (this.lost.has(`${from}>${to}`) || !this.rafts.has(to)) return [`${head}: lost`];
    return [head, ...this.step(to, { type: 'receive', nowMs: this.nowMs, from, message }).map((line) => `  ${line}`)];
  }

  /** Disks write and letters arrive until nothing moves; shows where everybody is then, or all of it with `all`. */
  private settle(words: readonly string[]): string[] {
    const lines: string[] = [];
    for (let n = 0; n < 1_000; n += 1) {
      const [id, sequence] = [...this.writes][0] ?? [];
      if (id !== undefined) {
        this.writes.delete(id);
        lines.push(
          ...this.step(id, { type: 'persisted', nowMs: this.nowMs, sequence: sequence! }).map(
            (line) => `${id}: ${line}`,
          ),
        );
        continue;
      }
      const letter = this.letters.shift();
      if (letter === undefined) return words.includes('all') ? lines : [...this.rafts.values()].map(show);
      lines.push(...this.deliverOne(letter));
    }
    throw new Error('it does not settle');
  }
}

function entryOf(text: string): LogEntry<string> {
  const [index, term, command] = text.split(':') as [string, string, string | undefined];
  if (command?.startsWith('<')) {
    // `<new+voters>`, or `<new+voters&old+voters>` while both decide.
    const [voters, outgoing] = command.slice(1, -1).split('&') as [string, string | undefined];
    const joint = outgoing === undefined ? {} : { outgoing: outgoing.split('+') };
    return {
      index: Number(index),
      term: Number(term),
      configuration: { voters: voters.split('+'), ...joint, learners: [] },
    };
  }
  return { index: Number(index), term: Number(term), ...(command === undefined ? {} : { command }) };
}

function eventOf(command: string, words: string[], options: Options, nowMs: number): RaftEvent<string> {
  switch (command) {
    case 'start':
      return { type: 'start', nowMs, seed: options.number('seed') };
    case 'tick':
      return { type: 'tick', nowMs };
    case 'propose':
      return { type: 'propose', commands: words };
    case 'persisted':
      return { type: 'persisted', nowMs, sequence: options.number('sequence') };
    case 'compacted':
      return { type: 'compacted', index: options.number('index') };
    case 'suspected':
      return { type: 'suspected', nowMs, node: words[0]! };
    case 'voters':
      return { type: 'change-voters', voters: words, learners: options.list('learners') };
    case 'fetched':
      return {
        type: 'snapshot-fetched',
        nowMs,
        index: options.number('index'),
        term: options.number('term'),
        configuration: { voters: options.list('voters'), learners: options.list('learners') },
      };
    case 'not-fetched':
      return { type: 'snapshot-failed', index: options.number('index'), term: options.number('term') };
    default:
      throw new Error(`no command ${command}`);
  }
}

function showConfiguration({ voters, outgoing, learners }: Configuration): string {
  const joint = outgoing === undefined ? '' : `&${outgoing.join('+')}`;
  return `<${voters.join('+')}${joint}${learners.length === 0 ? '' : ` learn ${learners.join('+')}`}>`;
}

function showEntries(entries: readonly LogEntry<string>[]): string {
  const shown = entries.map(
    ({ index, term, command, configuration }) =>
      `${index}:${term}:${configuration === undefined ? (command ?? '-') : showConfiguration(configuration)}`,
  );
  return `[${shown.join(' ')}]`;
}

function showMessage(message: RaftMessage<string>): string {
  switch (message.type) {
    case 'pre-vote-request':
    case 'vote-request':
      return `${message.type} term=${message.term} last=${message.lastIndex}:${message.lastTerm}`;
    case 'pre-vote-answer':
    case 'vote-answer':
      return `${message.type} term=${message.term} ${message.granted ? 'granted' : 'refused'}`;
    case 'append': {
      const { term, round, previousIndex, previousTerm, entries, commitIndex } = message;
      return `append term=${term} round=${round} previous=${previousIndex}:${previousTerm} ${showEntries(entries)} commit=${commitIndex}`;
    }
    case 'append-answer': {
      const { term, round, match, reject } = message;
      const said = match === undefined ? '' : ` match=${match}`;
      const refused =
        reject === undefined ? '' : ` reject=${reject.previousIndex} hint=${reject.hintIndex}:${reject.hintTerm}`;
      return `append-answer term=${term} round=${round}${said}${refused}`;
    }
    case 'snapshot':
      return `snapshot term=${message.term} round=${message.round} ${message.index}:${message.indexTerm}`;
  }
}

function showEffect(effect: RaftEffect<string>): string {
  switch (effect.type) {
    case 'persist': {
      const { hard } = effect;
      const said = hard === undefined ? '' : `term=${hard.term} voted=${hard.votedFor ?? '-'} `;
      return `persist #${effect.sequence} ${said}${showEntries(effect.entries)}`;
    }
    case 'apply':
      return `apply ${showEntries(effect.entries)}`;
    case 'role-changed': {
      const { role, term, leader, votes } = effect;
      const proof = votes === undefined ? '' : ` votes=${votes.map(({ voter }) => voter).join(',')}`;
      return `role ${role} term=${term}${role === 'leader' ? proof : ` leader=${leader ?? '-'}`}`;
    }
    case 'send':
      return `send ${effect.to} ${showMessage(effect.message)}`;
    case 'install-snapshot':
      return `install #${effect.sequence} ${effect.index}:${effect.term} ${showConfiguration(effect.configuration)}`;
    case 'fetch-snapshot':
      return `fetch ${effect.index}:${effect.term} from ${effect.from}`;
  }
}

function show(raft: RaftState<string>): string {
  const snapshot = raft.snapshotIndex === 0 ? '' : ` snapshot=${raft.snapshotIndex}:${raft.snapshotTerm}`;
  const voted = raft.hard.votedFor === undefined ? '' : ` voted=${raft.hard.votedFor}`;
  const log = `log=${showEntries(raft.log)} last=${lastIndex(raft)} persisted=${raft.persistedIndex}`;
  return `= ${raft.id} ${raft.role} term=${raft.hard.term}${voted}${snapshot} ${log} committed=${raft.commitIndex}`;
}
