import { decode, encode, type QueryAnswer, queryAsk, Topics } from '@foremesh/node-runtime/contract';
import type { PublishPacket } from 'aedes';

/**
 * What the broker answers in place of the leader to a question that its asker may not ask. MQTT 3.1.1 has no words to refuse a
 * message: without this one, who asked would wait for nothing. Undefined for what is no question.
 */
export function refusalOf(
  topic: string,
  payload: Uint8Array,
  message: string,
): Pick<PublishPacket, 'topic' | 'payload' | 'retain'> | undefined {
  const [, , mesh] = topic.split('/');
  try {
    const topics = new Topics(mesh ?? '');
    const parsed = topics.parse(topic);
    if (parsed?.kind !== 'queryChange') return undefined;
    const { id } = decode(queryAsk, payload);
    const mend = 'ask somebody who owns the mesh: `foremesh accounts list` at the hub shows who does';
    const answer: QueryAnswer = { v: 1, id, query: 'error', problem: { code: 'MESH_NOT_AUTHORIZED', message, mend } };
    const body = Buffer.from(encode(answer, 'json'));
    return { topic: topics.queryAnswer(parsed.account, parsed.client), payload: body, retain: false };
  } catch {
    return undefined; // neither ours nor readable: nobody can be answered
  }
}
