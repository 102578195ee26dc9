/**
 * Who votes. While `outgoing` is there the change is joint: every decision needs a majority of both sets. Learners
 * get the log and count for nothing.
 */
export interface Configuration {
  readonly voters: readonly string[];
  readonly outgoing?: readonly string[];
  readonly learners: readonly string[];
}

/** An entry of the log, and the configuration that it brought: it counts from the moment it is in the log. */
export interface ConfigurationAt {
  readonly index: number;
  readonly configuration: Configuration;
}

export function quorumSize(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/** Whether those that pass are a majority, of both sets while the change is joint. */
export function isQuorum({ voters, outgoing }: Configuration, passes: (voter: string) => boolean): boolean {
  const majority = (among: readonly string[]) => among.filter(passes).length >= quorumSize(among.length);
  return majority(voters) && (outgoing === undefined || majority(outgoing));
}

/** The highest value that a quorum has reached. */
export function quorumValue({ voters, outgoing }: Configuration, reached: (voter: string) => number): number {
  const byMost = (among: readonly string[]) =>
    among.map(reached).sort((a, b) => b - a)[quorumSize(among.length) - 1] ?? 0;
  return outgoing === undefined ? byMost(voters) : Math.min(byMost(voters), byMost(outgoing));
}

export function isVoter({ voters, outgoing }: Configuration, id: string): boolean {
  return voters.includes(id) || outgoing?.includes(id) === true;
}

export function votersOf({ voters, outgoing = [] }: Configuration): string[] {
  return [...new Set([...voters, ...outgoing])];
}

export function membersOf(configuration: Configuration): string[] {
  return [...new Set([...votersOf(configuration), ...configuration.learners])];
}

export function isSoleVoter({ voters, outgoing }: Configuration, id: string): boolean {
  return outgoing === undefined && voters.length === 1 && voters[0] === id;
}

export function sameConfiguration(a: Configuration, b: Configuration): boolean {
  return (
    sameSet(a.voters, b.voters) &&
    sameSet(a.learners, b.learners) &&
    (a.outgoing === undefined) === (b.outgoing === undefined) &&
    sameSet(a.outgoing ?? [], b.outgoing ?? [])
  );
}

export function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((each) => b.includes(each));
}
