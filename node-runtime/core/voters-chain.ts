import { limits, type NodeKey, type VotersLink } from '../contract/index.ts';

type Voters = { readonly voters: readonly KeyOfVoter[]; readonly outgoing?: readonly KeyOfVoter[] | undefined };
/** Of the founder a mesh id tells the key and not the name. */
export type KeyOfVoter = { readonly publicKey: string; readonly node?: NodeKey['node'] };

export function isVoterKey({ voters, outgoing = [] }: Voters, publicKey: string): boolean {
  return [...voters, ...outgoing].some((voter) => voter.publicKey === publicKey);
}

/**
 * At most `votersLinks` links, that still lead from the first signer to the last link. A link can be left out when the one
 * behind it is signed by a voter of the one before it as well; the oldest such goes first. What the proof of the newest
 * term may rest on stays: the voters at its election are those of the newest link of an older term, or the next.
 */
export function shortened(chain: readonly VotersLink[]): readonly VotersLink[] {
  let links = chain;
  while (links.length > limits.votersLinks) {
    const base = links.findLastIndex(({ term }) => term < links.at(-1)!.term);
    const spare = links.findIndex((_, at) => at !== base && at !== base + 1 && isSpare(links, at));
    // Nobody votes any more who did when the oldest was signed: who knows but the founder cannot follow.
    links = links.toSpliced(Math.max(0, spare), 1);
  }
  return links;
}

function isSpare(links: readonly VotersLink[], at: number): boolean {
  const before = links[at - 1];
  const next = links[at + 1];
  if (next === undefined) return false;
  return before === undefined ? next.signer === links[at]!.signer : isVoterKey(before, next.signer);
}
