import { MeshError, type ParsedTopic, type Topics } from '../contract/index.ts';
import type { Publisher } from './shortcut.ts';
import { openSeal, type Signer } from './signing.ts';

/** Topics on which nodes speak to each other: whoever hears something there checks who says it. */
const sealedKinds: readonly ParsedTopic['kind'][] = ['status', 'metrics', 'inbox', 'outbox', 'leader', 'raft'];

/** Seals what nodes say to each other, and leaves alone what clients read. */
export function withSeals(transport: Publisher, topics: Topics, signer: Signer): Publisher {
  return {
    publish: (topic, payload, options) => {
      const parsed = topics.parse(topic);
      const sealed = parsed !== undefined && payload.length > 0 && sealedKinds.includes(parsed.kind);
      return transport.publish(topic, sealed ? signer.seal(payload, topic) : payload, options);
    },
  };
}

/** What somebody of whom we know the key said on a topic. Throws `MESH_SIGNATURE_INVALID`. */
export function openOf(
  node: string,
  publicKey: string | undefined,
  payload: Uint8Array,
  topic: string,
  meshId: string,
): Uint8Array {
  if (publicKey !== undefined) return openSeal(payload, meshId, topic, publicKey);
  throw new MeshError('MESH_SIGNATURE_INVALID', `nobody here knows the key of "${node}"`, {
    mend: 'it is enrolled when a leader has heard its status',
  });
}
