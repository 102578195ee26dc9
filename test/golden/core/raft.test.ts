import {
  createRaft,
  type LogEntry,
  lastIndex,
  type RaftEffect,
  type RaftEvent,
  type RaftState,
  stepRaft,
  validateRaft,
} from '@foremesh/node-runtime/core';
import { goldenFiles, type Options, runGolden } from './golden.ts';

/** Commands: new [term= voted= snapshot=index:term log=index:term:command,...], start, propose <command>..., persisted term= index=, compacted index= */
describe('golden: raft', () => {
  for (const file of goldenFiles('raft')) {
    it(file, () => {
      let raft = createRaft<string>('ada', ['ada']);
      runGolden(file, (command, words, options) => {
        if (command === 'new') {
          raft = restored(words, options);
          return [show(raft)];
        }
        const effects = stepRaft(raft, eventOf(command, words, options));
        validateRaft(raft);
        return [...effects.map(showEffect), show(raft)];
      });
    });
  }
});

function restored(voters: string[], options: Options): RaftState<string> {
  const [snapshotIndex, snapshotTerm] = options.text('snapshot', '0:0').split(':').map(Number) as [number, number];
  const log = options.list('log').map((entry) => {
    const [index, term, command] = entry.split(':') as [string, string, string | undefined];
    return { index: Number(index), term: Number(term), ...(command === undefined ? {} : { command }) };
  });
  const voted = options.text('voted');
  const hard = { term: options.number('term'), ...(voted === '' ? {} : { votedFor: voted }) };
  return createRaft<string>('ada', voters.length === 0 ? ['ada'] : voters, { hard, log, snapshotIndex, snapshotTerm });
}

function eventOf(command: string, words: string[], options: Options): RaftEvent<string> {
  switch (command) {
    case 'start':
      return { type: 'start' };
    case 'propose':
      return { type: 'propose', commands: words };
    case 'persisted':
      return { type: 'persisted', term: options.number('term'), index: options.number('index') };
    case 'compacted':
      return { type: 'compacted', index: options.number('index') };
    default:
      throw new Error(`no command ${command}`);
  }
}

function showEntries(entries: readonly LogEntry<string>[]): string {
  return `[${entries.map(({ index, term, command }) => `${index}:${term}:${command ?? '-'}`).join(' ')}]`;
}

function showEffect(effect: RaftEffect<string>): string {
  switch (effect.type) {
    case 'persist':
      return `persist ${effect.hard === undefined ? '' : `term=${effect.hard.term} voted=${effect.hard.votedFor} `}${showEntries(effect.entries)}`;
    case 'apply':
      return `apply ${showEntries(effect.entries)}`;
    case 'role-changed':
      return `role ${effect.role} term=${effect.term}`;
  }
}

function show(raft: RaftState<string>): string {
  const snapshot = raft.snapshotIndex === 0 ? '' : ` snapshot=${raft.snapshotIndex}:${raft.snapshotTerm}`;
  return `= ${raft.role} term=${raft.hard.term}${snapshot} log=${showEntries(raft.log)} last=${lastIndex(raft)} persisted=${raft.persistedIndex} committed=${raft.commitIndex}`;
}
