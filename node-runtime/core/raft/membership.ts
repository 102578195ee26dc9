import { type Configuration, membersOf, sameConfiguration, sameSet } from './configuration.ts';
import { createProgress, replicate } from './leader.ts';
import { appendEntries } from './log.ts';
import type { Output } from './output.ts';
import { configurationAt, configurationOf, lastIndex, type RaftState } from './state.ts';

/** Why the voters cannot be changed now; undefined when they can. */
export function changeProblem<Command>(
  state: RaftState<Command>,
  voters: readonly string[],
  learners: readonly string[],
): string | undefined {
  const { index, configuration } = configurationAt(state);
  if (state.role !== 'leader') return 'only a leader changes the voters';
  if (voters.length === 0) return 'somebody must vote';
  if (new Set([...voters, ...learners]).size !== voters.length + learners.length) return 'somebody is named twice';
  if (state.commitIndex < state.firstIndexOfTerm) return 'the term has just begun';
  if (index > state.commitIndex || configuration.outgoing !== undefined) return 'a change is under way';
  return undefined;
}

export function changeVoters<Command>(
  state: RaftState<Command>,
  out: Output<Command>,
  voters: readonly string[],
  learners: readonly string[],
): void {
  const problem = changeProblem(state, voters, learners);
  if (problem !== undefined) throw new Error(`raft: ${problem}`);
  state.target = { voters: [...voters], learners: [...learners] };
  advanceMembership(state, out);
}

/**
 * One step further, when the one before is committed: newcomers learn; once they have caught up, both sets decide
 * together; then the new one alone. A joint configuration that a new leader finds in its log is left the same way.
 */
export function advanceMembership<Command>(state: RaftState<Command>, out: Output<Command>): void {
  if (state.role !== 'leader' || state.commitIndex < state.firstIndexOfTerm) return;
  const { index, configuration } = configurationAt(state);
  if (index > state.commitIndex) return;
  const { voters, outgoing, learners } = configuration;
  if (outgoing !== undefined) {
    if (state.staysJoint) return;
    appendConfiguration(state, out, { voters, learners });
    return;
  }
  const { target } = state;
  if (target === undefined) return;
  const wanted: Configuration = { voters: target.voters, learners: target.learners };
  const newVoters = target.voters.filter((voter) => !voters.includes(voter));
  const late = [...newVoters, ...target.learners].filter((each) => !voters.includes(each) && !learners.includes(each));
  if (late.length > 0) {
    // Those of a change that was given up, perhaps gone for good, learn no more: they would be more with every change.
    const still = learners.filter((each) => newVoters.includes(each) || target.learners.includes(each));
    appendConfiguration(state, out, { voters, learners: [...still, ...late] });
    return;
  }
  if (!newVoters.every((voter) => hasCaughtUp(state, voter))) return;
  state.target = undefined;
  if (sameConfiguration(configuration, wanted)) return;
  if (sameSet(voters, target.voters)) {
    appendConfiguration(state, out, wanted);
    return;
  }
  appendConfiguration(state, out, { ...wanted, outgoing: voters });
}

function hasCaughtUp<Command>(state: RaftState<Command>, learner: string): boolean {
  const progress = state.progress.get(learner);
  return (
    progress?.mode === 'replicate' && progress.match >= state.commitIndex && progress.answeredRound >= state.round - 2
  );
}

function appendConfiguration<Command>(
  state: RaftState<Command>,
  out: Output<Command>,
  configuration: Configuration,
): void {
  appendEntries(state, out, [{ index: lastIndex(state) + 1, term: state.hard.term, configuration }]);
  for (const member of membersOf(configurationOf(state))) {
    if (member !== state.id && !state.progress.has(member))
      state.progress.set(member, createProgress(lastIndex(state)));
  }
  for (const [member, progress] of state.progress) replicate(state, out, member, progress);
}
