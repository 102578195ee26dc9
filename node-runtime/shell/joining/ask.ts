import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import type * as z from 'zod';
import { type Address, check, isErrorCode, joiningRefusal, limits, MeshError } from '../../contract/index.ts';
import { connectPinned, type PinnedConnection, type PinnedTarget } from '../pinned-tls.ts';

export interface Question<T> {
  readonly path: string;
  /** Sent as JSON by POST; without it the question is a GET. */
  readonly body?: object;
  readonly schema: z.ZodType<T>;
  readonly timeoutMs: number;
  /** Gives up before, when until then nobody has taken a connection. */
  readonly reachMs?: number;
  readonly onReached?: () => void;
  /** The peer at this address is certified by the CA, and has been told nothing yet. */
  readonly onTrusted?: (address: Address) => void;
}

/**
 * Asks the broker over HTTPS. Throws what `connectPinned` throws, the broker's own refusal, `MESH_UNREACHABLE` when it does
 * not answer in time, `MESH_MESSAGE_MALFORMED` when it answers with something else.
 */
export async function askBroker<T>(target: PinnedTarget, question: Question<T>): Promise<T> {
  const { timeoutMs, reachMs, onReached, onTrusted } = question;
  const beganMs = performance.now();
  const connection = await connectPinned(target, {
    timeoutMs,
    ...(reachMs === undefined ? {} : { reachMs }),
    ...(onReached && { onReached }),
  });
  onTrusted?.(connection.address);
  const leftMs = Math.max(1_000, timeoutMs - (performance.now() - beganMs));
  const timer = setTimeout(() => connection.socket.destroy(new Error('no answer in time')), leftMs);
  try {
    const { status, body } = await exchange(connection, question);
    if (status === 200) return check(question.schema, body, 'MESH_MESSAGE_MALFORMED');
    const { problem } = check(joiningRefusal, body, 'MESH_MESSAGE_MALFORMED');
    const code = isErrorCode(problem.code) ? problem.code : 'MESH_NOT_ADMITTED';
    throw new MeshError(code, problem.message, problem.mend === undefined ? {} : { mend: problem.mend });
  } finally {
    clearTimeout(timer);
    connection.socket.destroy();
  }
}

async function exchange(
  { socket, address }: PinnedConnection,
  { path, body }: Pick<Question<unknown>, 'path' | 'body'>,
): Promise<{ readonly status: number | undefined; readonly body: unknown }> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const sent = request({
    createConnection: () => socket,
    host: address.host,
    path,
    method: text === undefined ? 'GET' : 'POST',
    headers:
      text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
  });
  sent.on('error', () => undefined); // one that comes after the head of the answer is heard by who reads its body
  try {
    sent.end(text);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    return { status: response.statusCode, body: JSON.parse(await textOf(response)) as unknown };
  } catch (error) {
    if (error instanceof MeshError) throw error;
    if (error instanceof SyntaxError) {
      throw new MeshError('MESH_MESSAGE_MALFORMED', 'the broker did not answer with JSON', {
        where: path,
        cause: error,
      });
    }
    throw new MeshError('MESH_UNREACHABLE', `the broker was reached, and gave no answer: ${(error as Error).message}`, {
      where: path,
      mend: 'try again; if it stays so, look at the log of the broker',
      cause: error,
    });
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) {
    text += chunk;
    if (text.length > limits.joiningBytes) {
      throw new MeshError('MESH_LIMIT_EXCEEDED', `joiningBytes is ${limits.joiningBytes}, and the answer is longer`);
    }
  }
  return text;
}
