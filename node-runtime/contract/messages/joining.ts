import * as z from 'zod';
import { MeshError } from '../errors.ts';
import { limits } from '../limits.ts';
import { problem } from './job.ts';
import { count, identifier, publicKey, signature, version } from './shared.ts';

/**
 * How a machine becomes a node: over HTTPS with the broker, whose certificate it knows by the fingerprint of the mesh's
 * CA. `POST /join` is asked with an invitation; `GET /membership` and `POST /renew` with the certificate that it gave.
 */
export const joiningPaths = {
  join: '/join',
  membership: '/membership',
  renew: '/renew',
  runtime: '/runtime.tgz',
} as const;

/** The query of `GET /membership` by a machine whose own node runs: to be online from there is no sign of a clone. */
export const runsHere = 'runs-here';

/** `POST /join`. */
export const joinAsk = z.object({
  v: version,
  invitation: identifier,
  secret: z.string().max(64),
  node: identifier,
  publicKey,
  /** By the node's key over `joinStatement`: who asks for a certificate of a key has the key. */
  signature,
  /** Of the machine, milliseconds since 1970. */
  clockMs: z.number().int(),
});
export type JoinAsk = z.infer<typeof joinAsk>;

/** What `signature` is over. No field can hold a newline. */
export function joinStatement({
  invitation,
  node,
  publicKey: key,
}: Pick<JoinAsk, 'invitation' | 'node' | 'publicKey'>) {
  return `foremesh join v1\n${invitation}\n${node}\n${key}`;
}

/** `POST /renew`, on a connection that the node's certificate opened. */
export const renewAsk = z.object({ v: version, clockMs: z.number().int() });

const pem = z.string().max(limits.admissionCharacters * 2);

/** What both are answered with. Times are the broker's. */
export const certificateAnswer = z.object({
  v: version,
  mesh: identifier,
  node: identifier,
  /** Whether the node may lead the mesh; the certificate says the same. */
  mayLead: z.boolean(),
  certificate: pem,
  authority: pem,
  issuedAtMs: count,
  endsAtMs: count,
});
export type CertificateAnswer = z.infer<typeof certificateAnswer>;

/** `GET /membership`: the certificate is good; what is not is answered with a problem. */
export const membershipAnswer = z.object({ v: version, node: identifier, nowMs: count });

/** Every refusal, with an HTTP status of 400 and above. */
export const joiningRefusal = z.object({ v: version, problem });

/**
 * Why the clocks of a machine and of its broker are too far apart to judge certificates; undefined when they are not.
 * `brokerTime` is the broker's, as a person reads it.
 */
export function clockProblem(clockMs: number, brokerMs: number, brokerTime: string): MeshError | undefined {
  const offMs = clockMs - brokerMs;
  if (Math.abs(offMs) <= limits.clockDifferenceMs) return undefined;
  const days = Math.round(Math.abs(offMs) / 86_400_000);
  const off = `${days} ${days === 1 ? 'day' : 'days'} ${offMs > 0 ? 'ahead of' : 'behind'} the broker's`;
  const message = `this machine's clock is ${off}, where it is ${brokerTime}`;
  const mend =
    'set it (`sudo timedatectl set-ntp true`, or `sudo date -s ...`) and join again: the invitation was not used';
  return new MeshError('MESH_CLOCK_WRONG', message, { mend });
}
