import { limits, type NodeKey, type Problem, type VotersLink } from '../contract/index.ts';
import type { Ledger } from './ledger.ts';
import type { LedgerCommand, LedgerEvent, MeshCommand } from './ledger-commands.ts';
import { keepModel } from './ledger-models.ts';
import { setQuota } from './ledger-quotas.ts';
import { passTime } from './ledger-retention.ts';
import { type Configuration, sameSet } from './raft/configuration.ts';
import { isVoterKey, shortened } from './voters-chain.ts';

export function isAboutMesh(command: LedgerCommand): command is MeshCommand {
  return !('job' in command);
}

/** What the ledger knows of who is in the mesh: the keys of nodes, and how the voters of today came to be. */
export function applyMeshCommand(ledger: Ledger, command: MeshCommand): LedgerEvent[] {
  if (command.type === 'set-voters') {
    ledger.voters = command.settings;
    return [{ type: 'voters-set' }];
  }
  if (command.type === 'pass-time') return passTime(ledger, command);
  if (command.type === 'keep-model') return keepModel(ledger, command);
  if (command.type === 'set-quota') return setQuota(ledger, command);
  if (command.type === 'remove-node') return removeNode(ledger, command);
  const reason = command.type === 'enroll-node' ? enrollFault(ledger, command) : linkFault(ledger, command.link);
  if (reason !== undefined) return [{ type: 'dropped', command, reason }];
  if (command.type === 'enroll-node') {
    const { node, publicKey } = command;
    ledger.nodes.set(node, { publicKey });
    return [{ type: 'node-enrolled', node, publicKey }];
  }
  ledger.votersChain = shortened([...ledger.votersChain, command.link]);
  return [{ type: 'voters-certified', index: command.link.index }];
}

function removeNode(ledger: Ledger, command: MeshCommand & { type: 'remove-node' }): LedgerEvent[] {
  const { nodes, removed } = ledger;
  const { node } = command;
  const known = nodes.get(node);
  if (known === undefined) return [{ type: 'dropped', command, reason: 'no such node' }];
  nodes.delete(node);
  const [oldest] = removed.keys();
  if (removed.size >= limits.removedNodesKept) removed.delete(oldest!);
  removed.set(known.publicKey, node);
  return [{ type: 'node-removed', node, publicKey: known.publicKey }];
}

function enrollFault(
  { nodes, removed }: Ledger,
  { node, publicKey }: MeshCommand & { type: 'enroll-node' },
): string | undefined {
  if (removed.has(publicKey)) return 'the key was removed';
  const known = nodes.get(node);
  if (known !== undefined) return known.publicKey === publicKey ? 'known already' : 'the id has another key';
  return nodes.size >= limits.nodesPerMesh ? `nodesPerMesh is ${limits.nodesPerMesh}` : undefined;
}

/** Signatures are checked by whoever proposes and by whoever follows the chain; here only that the links fit. */
function linkFault({ votersChain }: Ledger, link: VotersLink): string | undefined {
  const last = votersChain.at(-1);
  if (last === undefined) return undefined;
  if (link.index <= last.index) return 'a newer link is known';
  if (link.term < last.term) return 'its term is older than that of the link before';
  return isVoterKey(last, link.signer) ? undefined : 'no voter of the link before has signed it';
}

/** What contradicts itself, if anything does. */
export function findMembersFault({ nodes, removed, votersChain }: Ledger): string | undefined {
  if (removed.size > limits.removedNodesKept) return `${removed.size} removed nodes are remembered`;
  if (nodes.size > limits.nodesPerMesh) return `${nodes.size} nodes are enrolled`;
  if (votersChain.length > limits.votersLinks) return `the chain of voters has ${votersChain.length} links`;
  for (const [at, link] of votersChain.entries()) {
    const before = votersChain[at - 1];
    if (before === undefined) continue;
    if (link.index <= before.index || link.term < before.term) return `link ${link.index} follows ${before.index}`;
    if (!isVoterKey(before, link.signer)) return `link ${link.index} is signed by no voter of ${before.index}`;
  }
  return undefined;
}

/** Whether the chain ends with these voters: whoever follows it knows them. */
export function areCertified({ votersChain }: Ledger, { voters, outgoing }: Configuration): boolean {
  const last = votersChain.at(-1);
  const before: Configuration = {
    voters: last?.voters.map(({ node }) => node) ?? [],
    learners: [],
    ...(last?.outgoing === undefined ? {} : { outgoing: last.outgoing.map(({ node }) => node) }),
  };
  return sameSet(before.voters, voters) && sameSet(before.outgoing ?? [], outgoing ?? []);
}

/**
 * What a leader signs once an entry with this configuration is committed; undefined when the voters are those that the
 * chain ends with (only learners came or went), or when a voter is not enrolled yet.
 */
export function votersToCertify(
  ledger: Ledger,
  configuration: Configuration,
): Pick<VotersLink, 'voters' | 'outgoing'> | undefined {
  if (areCertified(ledger, configuration)) return undefined;
  const { nodes } = ledger;
  const { voters, outgoing } = configuration;
  const keysOf = (ids: readonly string[]): NodeKey[] =>
    ids.flatMap((node) => {
      const known = nodes.get(node);
      return known === undefined ? [] : [{ node, publicKey: known.publicKey }];
    });
  const keys = { voters: keysOf(voters), ...(outgoing === undefined ? {} : { outgoing: keysOf(outgoing) }) };
  const complete = keys.voters.length === voters.length && keys.outgoing?.length === outgoing?.length;
  return complete ? keys : undefined;
}

/**
 * Whether a leader works with who comes under this id: undefined when it is enrolled with this key, or may be enrolled
 * (`admitted`: it has shown that it was let in). Otherwise what the node is told, and ends with.
 */
export function admissionProblem(
  { nodes, removed }: Ledger,
  { node, publicKey }: NodeKey,
  admitted: boolean,
): Problem | undefined {
  const known = nodes.get(node);
  if (removed.has(publicKey)) {
    return {
      code: 'MESH_NODE_REMOVED',
      message: `the owner has removed this node ("${removed.get(publicKey)}")`,
      mend: 'to come back as a new node: remove node.json, node.key and membership.json in its home, and join anew',
    };
  }
  if (known?.publicKey === publicKey) return undefined;
  if (known !== undefined) {
    return {
      code: 'MESH_NOT_ADMITTED',
      message: `the mesh knows a node "${node}", with another key`,
      mend: 'give this one another name: remove node.json and node.key, and start it with another --name',
    };
  }
  if (!admitted) {
    return {
      code: 'MESH_NOT_ADMITTED',
      message: `nothing shows that "${node}" was let in`,
      mend: 'join it with what `foremesh invite` prints on the hub; or take the whole connection string of `foremesh init`',
    };
  }
  if (nodes.size < limits.nodesPerMesh) return undefined;
  return {
    code: 'MESH_NOT_ADMITTED',
    message: `nodesPerMesh is ${limits.nodesPerMesh}: there is no room for "${node}"`,
  };
}
