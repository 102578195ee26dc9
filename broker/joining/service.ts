import { createPublicKey, verify } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import {
  asMeshError,
  type CertificateAnswer,
  check,
  checkNodeName,
  clockProblem,
  limits as contractLimits,
  type ErrorCode,
  joinAsk,
  joiningPaths,
  joinStatement,
  MeshError,
  renewAsk,
  runsHere,
} from '@foremesh/node-runtime/contract';
import type { BrokerLimits } from '../limits.ts';
import type { Incidents } from '../log.ts';
import type { Authority } from './authority.ts';
import { keyTaken, type Members } from './members.ts';
import { shownNode } from './shown-certificate.ts';

export interface JoiningParts {
  readonly authority: Authority;
  readonly members: Members;
  readonly mesh: string;
  readonly limits: BrokerLimits;
  readonly incidents: Incidents;
  /** Where the runtime's own package is, for devices that have none. */
  readonly runtimeFile: string;
  /** The addresses from which the node is connected now. */
  readonly connectedFrom: (node: string) => readonly string[];
  /** The key under which the mesh knows the node already, certificate or not. */
  readonly knownKey: (node: string) => Promise<string | undefined>;
}

const statusOf: Partial<Record<ErrorCode, number>> = {
  MESH_INVITATION_UNKNOWN: 404,
  MESH_INVITATION_EXPIRED: 410,
  MESH_INVITATION_USED: 410,
  MESH_NODE_REMOVED: 403,
  MESH_CERTIFICATE_ENDED: 403,
  MESH_CA_MISMATCH: 403,
  MESH_NOT_ADMITTED: 409,
  MESH_IDENTITY_CLONED: 409,
  MESH_STORAGE_FAILED: 500,
};

/** What the broker answers over HTTPS: machines that join, nodes that renew, devices that have no runtime yet. */
export class JoiningService {
  readonly #parts: JoiningParts;
  #asked = 0;

  constructor(parts: JoiningParts) {
    this.#parts = parts;
  }

  /** False when the path is none of ours. */
  handle(request: IncomingMessage, response: ServerResponse): boolean {
    const path = `${request.method} ${request.url?.split('?')[0]}`;
    const { join, membership, renew, runtime } = joiningPaths;
    if (path === `GET ${runtime}`) {
      void this.#sendRuntime(response);
      return true;
    }
    const answers: Readonly<Record<string, () => Promise<unknown>>> = {
      [`POST ${join}`]: () => this.#join(request),
      [`GET ${membership}`]: () => this.#membership(request),
      [`POST ${renew}`]: () => this.#renew(request),
    };
    const answer = answers[path];
    if (answer === undefined) return false;
    void this.#answer(request, response, answer);
    return true;
  }

  async #answer(request: IncomingMessage, response: ServerResponse, answer: () => Promise<unknown>): Promise<void> {
    this.#asked += 1;
    try {
      if (this.#asked > this.#parts.limits.joiningAtOnce) {
        throw new MeshError('MESH_LIMIT_EXCEEDED', `joiningAtOnce is ${this.#parts.limits.joiningAtOnce}`, {
          mend: 'try again in a moment',
        });
      }
      await this.#parts.members.refresh();
      send(response, 200, await answer());
    } catch (error) {
      const { code, message, mend } = asMeshError(error, 'MESH_STORAGE_FAILED');
      const remote = request.socket.remoteAddress;
      this.#parts.incidents.report(
        'joining',
        { path: request.url, remote, code, reason: message },
        'a machine was refused',
      );
      const problem = { code, message, ...(mend === undefined ? {} : { mend }) };
      send(response, statusOf[code] ?? 400, { v: 1, problem });
    } finally {
      this.#asked -= 1;
    }
  }

  async #join(request: IncomingMessage): Promise<CertificateAnswer> {
    const ask = check(joinAsk, await bodyOf(request), 'MESH_MESSAGE_MALFORMED');
    checkClock(ask.clockMs);
    const { node, publicKey } = ask;
    checkNodeName(node);
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: publicKey }, format: 'jwk' });
    if (!verify(null, Buffer.from(joinStatement(ask)), key, Buffer.from(ask.signature, 'base64url'))) {
      throw new MeshError('MESH_SIGNATURE_INVALID', 'the question is not signed by the key that it names');
    }
    const known = await this.#parts.knownKey(node);
    if (known !== undefined && known !== publicKey) throw keyTaken(node);
    this.#refuseClone(node, request);
    const issuedAtMs = Date.now();
    const endsAtMs = issuedAtMs + this.#parts.limits.nodeCertificateMs;
    const token = { id: ask.invitation, secret: ask.secret };
    const { mayLead } = await this.#parts.members.admit(token, ask, endsAtMs);
    this.#parts.incidents.log.info({ node, remote: request.socket.remoteAddress, mayLead }, 'a node has joined');
    return this.#certify({ node, publicKey, mayLead }, issuedAtMs, endsAtMs);
  }

  async #membership(request: IncomingMessage) {
    const { node } = this.#shown(request);
    // A machine whose node runs is the one that is online, by whichever of its addresses it asks.
    if (!request.url?.endsWith(`?${runsHere}`)) this.#refuseClone(node, request);
    return { v: 1, node, nowMs: Date.now() };
  }

  async #renew(request: IncomingMessage): Promise<CertificateAnswer> {
    const { node, publicKey, mayLead } = this.#shown(request);
    checkClock(check(renewAsk, await bodyOf(request), 'MESH_MESSAGE_MALFORMED').clockMs);
    const issuedAtMs = Date.now();
    const endsAtMs = issuedAtMs + this.#parts.limits.nodeCertificateMs;
    await this.#parts.members.extend({ node, publicKey, mayLead }, endsAtMs);
    return this.#certify({ node, publicKey, mayLead }, issuedAtMs, endsAtMs);
  }

  async #certify(
    node: { node: string; publicKey: string; mayLead: boolean },
    issuedAtMs: number,
    endsAtMs: number,
  ): Promise<CertificateAnswer> {
    const { authority, mesh } = this.#parts;
    const { issueNode } = await import('./issue.ts');
    const certificate = await issueNode(authority, node, endsAtMs);
    const { mayLead } = node;
    const authorityText = authority.certificate;
    return { v: 1, mesh, node: node.node, mayLead, certificate, authority: authorityText, issuedAtMs, endsAtMs };
  }

  #shown(request: IncomingMessage) {
    const shown = shownNode(request.socket, this.#parts.members);
    if (shown !== undefined) return shown;
    throw new MeshError('MESH_NOT_AUTHORIZED', 'this is asked with the certificate of a node');
  }

  /** One identity, connected from one machine, asks from another. */
  #refuseClone(node: string, request: IncomingMessage): void {
    const here = request.socket.remoteAddress;
    const elsewhere = this.#parts.connectedFrom(node).find((address) => address !== here);
    if (elsewhere === undefined) return;
    throw new MeshError('MESH_IDENTITY_CLONED', `"${node}" is online now from ${elsewhere}, and this is ${here}`, {
      mend: 'if this machine is a copy: remove node.json, node.key and membership.json in its home, and join anew; else stop the other',
    });
  }

  async #sendRuntime(response: ServerResponse): Promise<void> {
    try {
      const { size } = await stat(this.#parts.runtimeFile);
      response.writeHead(200, { 'content-type': 'application/gzip', 'content-length': size });
      await pipeline(createReadStream(this.#parts.runtimeFile), response);
    } catch (error) {
      if (response.headersSent) response.destroy(error as Error);
      else response.writeHead(404).end('this broker has no runtime to give: `foremesh invite` makes it\n');
    }
  }
}

function checkClock(clockMs: number): void {
  const now = new Date();
  const problem = clockProblem(clockMs, now.getTime(), now.toISOString());
  if (problem !== undefined) throw problem;
}

/** A JSON body of bounded size. */
async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > contractLimits.joiningBytes) {
      throw new MeshError('MESH_LIMIT_EXCEEDED', `joiningBytes is ${contractLimits.joiningBytes}`);
    }
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch (error) {
    throw new MeshError('MESH_MESSAGE_MALFORMED', 'the question is not JSON', { cause: error });
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response
    .writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      connection: 'close',
    })
    .end(text);
}
