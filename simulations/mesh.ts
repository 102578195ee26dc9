import { type VoterSettings, type VoterState, votersDefault } from '@foremesh/node-runtime/core';
import type { VirtualNode } from './drivers/node.ts';
import { plainText } from './engine/plain-text.ts';
import type { World } from './world.ts';

/** All nodes of a run, seen at once: who leads, what is left to do, and whether the voters are who they should be. */
export class VirtualMesh {
  readonly #world: World;
  readonly #nodes = new Map<string, VirtualNode>();

  constructor(world: World) {
    this.#world = world;
  }

  add(node: VirtualNode): void {
    this.#nodes.set(node.machine.hardware, node);
  }

  get nodes(): Iterable<VirtualNode> {
    return this.#nodes.values();
  }

  /** By its first name, which it keeps when it has to take another. */
  node(hardware: string): VirtualNode | undefined {
    return this.#nodes.get(hardware);
  }

  byId(id: string): VirtualNode | undefined {
    return [...this.#nodes.values()].find((node) => node.id === id);
  }

  /** The leader by its log, of the highest term: one of the past may not know yet. */
  get leader(): VirtualNode | undefined {
    let newest: VirtualNode | undefined;
    for (const node of this.#nodes.values()) {
      const raft = node.voter?.state.raft;
      if (raft?.role === 'leader' && raft.hard.term > (newest?.voter?.state.raft.hard.term ?? 0)) newest = node;
    }
    return newest;
  }

  /** A leader whose ledger is as new as any. */
  get planning(): VoterState | undefined {
    const state = this.leader?.voter?.state;
    return state?.planner.leading === true ? state : undefined;
  }

  /** A person repeats what is wanted until the log has it. */
  want({ count, settleMs, replaceAfterMs }: VoterSettings): void {
    const settings = { ...(count === undefined ? {} : { count }), settleMs, replaceAfterMs };
    const state = this.planning;
    if (state === undefined || plainText(state.ledger.voters) === plainText(settings)) return;
    this.leader?.process?.voter?.want(settings);
  }

  /** What is to be forgotten and is not, once every job has ended. */
  leftovers(): string[] {
    const left: string[] = [];
    for (const { id, process } of this.#nodes.values()) {
      if (process === undefined) left.push(`${id}, which is down`);
      else left.push(...process.leftovers().map((what) => `${what} on ${id}`));
    }
    const state = this.planning;
    if (state === undefined) left.push('an election');
    left.push(...[...(state?.planner.attempts.keys() ?? [])].map((attempt) => `${attempt} in the plan`));
    return left;
  }

  /** Why the voters are not yet what was wanted, as far as the fleet allows it, and of one mind. */
  votersProblem(): string | undefined {
    const state = this.planning;
    if (state === undefined) return 'nobody leads';
    const { raft, ledger } = state;
    const { index, configuration } = raft.configurations.at(-1)!;
    const { voters, outgoing, learners } = configuration;
    if (index > raft.commitIndex || outgoing !== undefined || learners.length > 0 || raft.target !== undefined)
      return `a change of voters is under way: ${JSON.stringify(configuration)} to ${JSON.stringify(raft.target)}`;
    const able = [...this.#nodes.values()].filter(({ mayLead }) => mayLead).map(({ id }) => id);
    const { count } = ledger.voters ?? votersDefault;
    const wanted = Math.min(count ?? (able.length >= 5 ? 5 : able.length >= 3 ? 3 : 1), able.length);
    if (voters.length < (wanted % 2 === 1 ? wanted : wanted - 1)) return `${voters} vote, ${wanted} should`;
    if (voters.length % 2 === 0 || (count !== undefined && voters.length > count)) return `${voters} vote, too many`;
    const gone = voters.filter((voter) => !able.includes(voter));
    if (gone.length > 0 && able.length >= voters.length) return `${gone} keeps a seat, and will never be back`;
    const doubting = [...this.#nodes.values()].find(({ process }) => process?.term !== state.planner.term);
    if (doubting !== undefined) return `${doubting.id} does not believe ${raft.id} in term ${state.planner.term}`;
    return voters.map((voter) => this.#behind(voter)).find((problem) => problem !== undefined);
  }

  #behind(voter: string): string | undefined {
    const node = this.byId(voter);
    if (node === undefined) return undefined; // gone for good, and nobody can take its seat
    const applied = node.voter?.state.appliedIndex;
    const { length } = this.#world.checks.log.committed;
    return applied === length ? undefined : `${voter} has applied ${applied} of ${length} entries`;
  }

  /** Every voter that is there. */
  get voters(): VoterState[] {
    const { log } = this.#world.checks;
    return [...this.#nodes.values()].flatMap(({ id, voter }) =>
      voter !== undefined && log.votes(id) ? [voter.state] : [],
    );
  }

  /** For whoever wants to know why a job has not ended. */
  describe(): string {
    const roles = [...this.#nodes.values()].map(({ id, voter, process }) => {
      const raft = voter?.state.raft;
      if (raft === undefined) return `${id} ${process === undefined ? 'is down' : 'follows'}`;
      const { role, hard, commitIndex, configurations } = raft;
      return `${id} ${role} of term ${hard.term}, committed ${commitIndex}, ${JSON.stringify(configurations.at(-1))}`;
    });
    const planner = this.planning?.planner;
    if (planner === undefined) return ['nobody leads', ...roles].join('\n  ');
    const tasks = [...planner.jobs.values()].flatMap((job) =>
      [...job.tasks.values()].filter(({ state }) => state !== 'done'),
    );
    const stories = tasks.map(({ key, state, committing, story }) => {
      return `${key} is ${state}${committing ? ', committing' : ''}: ${story.join(' | ')}`;
    });
    const nodes = [...planner.nodes].map(
      ([id, { online, confirmed, attempts }]) =>
        `${id} online=${online} confirmed=${confirmed} attempts=${attempts.size}`,
    );
    return [`${planner.id} leads, connected=${planner.connected}`, ...roles, ...stories, ...nodes].join('\n  ');
  }
}
