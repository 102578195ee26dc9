import { randomBytes } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { connect, isIP } from 'node:net';
import {
  type Address,
  addressesOf,
  addressText,
  bodyOf,
  decode,
  leaderHint,
  type MeshPlace,
  Topics,
  type Transport,
} from '../../contract/index.ts';
import { brokerOf, connectMqtt } from '../../shell/mqtt-transport.ts';
import type { PinnedTarget } from '../../shell/pinned-tls.ts';
import { durationText } from '../text.ts';
import type { Findings } from './finding.ts';

/** Where the mesh is, and as whom this machine goes there: with an account, or with the certificate of its node. */
export interface Way {
  readonly place: MeshPlace;
  readonly login: { readonly username: string; readonly password: string } | { readonly own: PinnedTarget['own'] };
  readonly name: string;
}

const patienceMs = 5_000;
const slowRoundTripMs = 500;
const rounds = 5;

/** Name, port, TLS and login, round trip, who leads: each step only where the one before went well. */
export async function checkWay({ place, login, name }: Way, findings: Findings): Promise<boolean> {
  const reached: Address[] = [];
  for (const address of addressesOf(place)) if (await checkAddress(address, findings)) reached.push(address);
  if (reached.length === 0) return false;
  let transport: Transport;
  try {
    const fromMs = performance.now();
    transport = await connectMqtt({
      ...('own' in login ? brokerOf(place, login.own) : { ...brokerOf(place), ...login }),
      clientId: `doctor-${randomBytes(6).toString('hex')}`,
      connectTimeoutMs: patienceMs,
    });
    const how = place.ca === undefined ? 'without TLS' : "over TLS, by a broker that the mesh's CA has certified";
    findings.add('login', 'ok', `let in as ${name} ${how}, in ${durationText(performance.now() - fromMs)}`);
  } catch (error) {
    findings.fail('login', error);
    return false;
  }
  try {
    await checkRoundTrip(transport, new Topics(place.mesh), findings);
  } catch (error) {
    findings.fail('round trip', error);
  } finally {
    await transport.close();
  }
  return true;
}

async function checkAddress(address: Address, findings: Findings): Promise<boolean> {
  const { host, port } = address;
  if (isIP(host) === 0) {
    try {
      const { address: found } = await lookup(host);
      findings.add('name', 'ok', `${host} is ${found}`);
    } catch (error) {
      const mend = 'use an address in its place, or mend the name service of this machine (/etc/resolv.conf)';
      findings.add('name', 'problem', `${host} does not resolve: ${(error as Error).message}`, mend);
      return false;
    }
  }
  const fromMs = performance.now();
  const problem = await new Promise<string | undefined>((resolve) => {
    const socket = connect({ host, port });
    const end = (text?: string) => {
      socket.destroy();
      resolve(text);
    };
    socket.setTimeout(patienceMs, () => end(`no answer within ${durationText(patienceMs)}`));
    socket.once('connect', () => end()).once('error', (error) => end(error.message));
  });
  const where = addressText(address);
  if (problem === undefined) {
    findings.add('port', 'ok', `${where} takes connections, after ${durationText(performance.now() - fromMs)}`);
    return true;
  }
  const mend = 'does the broker run there, is this machine in its network, and does a firewall let the port through?';
  findings.add('port', 'problem', `cannot reach ${where}: ${problem}`, mend);
  return false;
}

/** The broker's answer to a question that costs it nothing; the leader's hint comes with the first. */
async function checkRoundTrip(transport: Transport, topics: Topics, findings: Findings): Promise<void> {
  const hint = new Promise<Uint8Array>((resolve) => transport.listen((_topic, payload) => resolve(payload)));
  const tookMs: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const fromMs = performance.now();
    await transport.subscribe([topics.leader()], 1);
    tookMs.push(performance.now() - fromMs);
  }
  const median = tookMs.sort((a, b) => a - b)[(rounds - 1) / 2]!;
  const text = `the broker answers after ${durationText(median)}`;
  findings.add('round trip', median > slowRoundTripMs ? 'warning' : 'ok', text);
  const none = new Promise<undefined>((resolve) => setTimeout(resolve, patienceMs, undefined).unref());
  const heard = await Promise.race([hint, none, transport.closed.then(() => undefined)]);
  if (heard === undefined || heard.length === 0) {
    const mend = 'do more than half of the voters run? With one voter that is the founder: `foremesh up`';
    findings.add('leader', 'problem', 'nobody has ever said here that it leads', mend);
    return;
  }
  const { node, term } = decode(leaderHint, bodyOf(heard));
  findings.add('leader', 'ok', `${node} has said that it leads, in term ${term}`);
}
