import * as z from 'zod';
import { limits } from '../limits.ts';
import { bytesOf } from '../text.ts';
import { count, identifier, publicKey, signature } from './shared.ts';

/** A node and the key that it is known by. */
export const nodeKey = z.object({ node: identifier, publicKey });
export type NodeKey = z.infer<typeof nodeKey>;

const voters = z.array(nodeKey).min(1).max(limits.votersPerMesh);

/**
 * A committed entry of the log gave the mesh these voters; while `outgoing` is there, both sets decide. Signed by a voter
 * of the link before. The voter before the first link is the founder, whose key is the id of the mesh: so whoever knows
 * that id can follow the links to the voters of today.
 */
export const votersLink = z.object({
  index: count,
  /** The term in which it was signed. */
  term: count,
  voters,
  outgoing: voters.optional(),
  /** The key of the voter who signed `votersStatement`. */
  signer: publicKey,
  signature,
});
export type VotersLink = z.infer<typeof votersLink>;

export const votersChain = z.array(votersLink).max(limits.votersLinks);

/** What a link signs. No field can hold a space, a colon or a newline, so no two statements are alike. */
export function votersStatement(
  meshId: string,
  { index, term, voters, outgoing }: Pick<VotersLink, 'index' | 'term' | 'voters' | 'outgoing'>,
): Uint8Array {
  const text = (keys: readonly NodeKey[]) => keys.map(({ node, publicKey }) => `${node}:${publicKey}`).join(' ');
  return bytesOf(`foremesh voters v1\n${meshId}\n${index}\n${term}\n${text(voters)}\n${text(outgoing ?? [])}\n`);
}
