import type { Duplex } from 'node:stream';
import { MeshError } from '@foremesh/node-runtime/contract';
import type { AedesOptions, AuthenticateError, Client, PublishPacket } from 'aedes';
import { describePrincipal, mayPublish, maySubscribe, type Principal } from './access.ts';
import type { Accounts } from './accounts.ts';
import { type Connections, Dropped } from './connections.ts';
import { refreshed } from './home-watch.ts';
import type { Members } from './joining/members.ts';
import { shownNode } from './joining/shown-certificate.ts';
import type { BrokerLimits } from './limits.ts';
import type { Incidents } from './log.ts';
import { refusalOf } from './refusal.ts';
import type { BrokerPersistence } from './store/persistence.ts';
import { filterMatches, filterProblem, topicProblem } from './topic-rules.ts';

/** CONNACK return codes of MQTT 3.1.1. */
const identifierRejected = 2;
const serverUnavailable = 3;
const badUserNameOrPassword = 4;
const notAuthorized = 5;

interface Login {
  readonly principal: Principal;
  /** Whether who logged in like this would be let in today, with the same rights. */
  readonly stillGood: () => boolean;
}

export interface AdmissionParts {
  readonly accounts: Accounts;
  readonly members: Members;
  /** Whose nodes come with certificates. */
  readonly mesh: string | undefined;
  readonly persistence: BrokerPersistence;
  readonly connections: Connections;
  readonly limits: BrokerLimits;
  readonly incidents: Incidents;
  /** The client that holds an id now. */
  readonly clientOf: (clientId: string) => Client | undefined;
  /** How many messages wait for a client's socket. */
  readonly outstanding: (client: Client) => number;
  /** Delivers a message that is not acknowledged yet. */
  readonly begin: (packet: PublishPacket, client: Client) => void;
}

type Will = NonNullable<Parameters<AedesOptions['preConnect'] & {}>[1]['will']>;
type Hooks = Required<
  Pick<AedesOptions, 'preConnect' | 'authenticate' | 'authorizePublish' | 'authorizeSubscribe' | 'authorizeForward'>
>;

/** Who may come in, and what those inside may publish, subscribe to and be sent. */
export class Admission {
  readonly #parts: AdmissionParts;
  readonly #logins = new WeakMap<Client, Login>();
  /** What is wrong with a CONNECT; told once the client is known by name. */
  readonly #problems = new WeakMap<Client, { code: number; message: string }>();
  /** What a client wants said when it is gone: then it is too late to ask whether it may. */
  readonly #wills = new WeakMap<Client, Will>();
  /** The end of the line of publishes that a client waits for. */
  readonly #lines = new WeakMap<Client, Promise<unknown>>();

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
  }

  principalOf(client: Client): Principal | undefined {
    return this.#logins.get(client)?.principal;
  }

  /** Whose a client's session is: an account's, or a node's. */
  ownerOf(client: Client): string | undefined {
    const principal = this.principalOf(client);
    return principal && ownerName(principal);
  }

  /**
   * Whether the client's account still exists with the password and the role that it logged in with; of a node, whether it
   * has not been removed and its certificate, or one that it got since, is still good.
   */
  stillWelcome(client: Client): boolean {
    return this.#logins.get(client)?.stillGood() ?? true;
  }

  /** What keeps the client from reading all that a filter matches, or undefined. */
  readProblem(client: Client, filter: string): string | undefined {
    const principal = this.principalOf(client);
    if (principal !== undefined && maySubscribe(principal, filter)) return undefined;
    return `${nameOf(principal)} may not read ${filter}`;
  }

  hooks(): Hooks {
    const { limits } = this.#parts;
    return {
      preConnect: (client, packet, done) => {
        const refuse = (code: number, message: string) => this.#problems.set(client, { code, message });
        const { clientId, clean, will } = packet;
        if (Buffer.byteLength(clientId) > limits.clientIdBytes) {
          refuse(identifierRejected, `clientIdBytes is ${limits.clientIdBytes}`);
        } else if (clientId === '' && clean === false) {
          refuse(identifierRejected, 'a session needs a client id');
        } else if (will !== undefined) {
          const problem = topicProblem(will.topic);
          if (problem !== undefined) refuse(notAuthorized, `last will: ${problem}`);
          else if (will.qos === 2) will.qos = 1;
          this.#wills.set(client, will);
        }
        done(null, true);
      },

      authenticate: (client, username, password, done) => {
        this.#authenticate(client, username, password).then(
          (refusal) => done(refusal, refusal === null),
          (error: unknown) => done(refused(serverUnavailable, String(error)), false),
        );
      },

      authorizePublish: (client, packet, done) => {
        const problem = topicProblem(packet.topic);
        if (problem !== undefined) return done(new Dropped('topic', problem));
        // A will is published as its connection ends: at once, so that it cannot come after what the client's next
        // connection says. Aedes stores it on its way.
        if (client === null) return done();
        // Aedes goes on with what a client sent before it was refused: of one that is gone, its will alone was checked.
        if (client.closed)
          return done(packet === this.#wills.get(client) ? null : new Dropped('access', 'it has gone'));
        const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
        const denial = this.#writeProblem(this.principalOf(client), packet.topic, payload);
        if (denial !== undefined) {
          const refusal = refusalOf(packet.topic, payload, denial);
          // Only to who may read it: else it would be said to another.
          if (refusal === undefined || this.readProblem(client, refusal.topic) !== undefined)
            return done(new Dropped('access', denial));
          this.#parts.incidents.report('access', { ...this.describe(client), reason: denial }, 'a request was refused');
          // In its place: who asked hears why not.
          Object.assign(packet, refusal);
          return done();
        }
        const stored = this.#parts.persistence.admit({ ...packet, payload });
        // To be acknowledged means to be stored; to be delivered does not. Unless somebody has a queue: what is on its way to
        // a client and into its queue at once would come twice. (QoS 2 is published by Aedes, once only.)
        if (packet.qos < 2 && this.#parts.persistence.sessions.size === 0) this.#parts.begin(packet, client);
        this.#inLine(client, stored, done);
      },

      authorizeSubscribe: (client, subscription, done) => {
        const held = Object.keys((client as Client & { subscriptions: object }).subscriptions).length;
        const filter = subscription.topic;
        const shape =
          filterProblem(filter) ??
          (held >= limits.subscriptionsPerClient
            ? `subscriptionsPerClient is ${limits.subscriptionsPerClient}`
            : undefined);
        const problem = shape ?? this.readProblem(client, filter);
        if (problem === undefined) return done(null, subscription);
        const kind = shape === undefined ? 'access' : 'subscription';
        this.#parts.incidents.report(kind, { ...this.describe(client), filter, problem }, 'a subscription was refused');
        done(null, null);
      },

      authorizeForward: (client, packet) => {
        const tooMuch = this.#tooMuchWaits(client);
        if (tooMuch !== undefined) {
          client.conn.destroy(tooMuch);
          return null;
        }
        // What it subscribed to was checked; what its session kept was perhaps allowed once.
        if (this.readProblem(client, packet.topic) !== undefined) return null;
        // QoS 2 is spoken with the publisher only; beyond the broker it is 1.
        if (packet.qos === 2) packet.qos = 1;
        // Aedes downgrades a retained message to the subscription's QoS only when that has no wildcard.
        if (packet.retain && packet.qos === 1 && !wantsAcknowledged(client, packet.topic)) packet.qos = 0;
        return packet;
      },
    };
  }

  describe(client: Client): { client: string; account?: string; node?: string; remote: string } {
    const principal = this.principalOf(client);
    return {
      client: client.id ?? '',
      ...(principal === undefined ? {} : { [principal.kind]: nameIn(principal) }),
      remote: this.#parts.connections.remote(client.conn),
    };
  }

  #tooMuchWaits(client: Client): Dropped | undefined {
    const { limits, outstanding } = this.#parts;
    const waitingBytes = client.conn.writableLength;
    if (waitingBytes > limits.outgoingBytesPerClient) {
      return new Dropped('outgoingBytesPerClient', `it reads too slowly: ${waitingBytes} bytes wait for it`);
    }
    const messages = outstanding(client);
    if (messages > limits.outgoingMessagesPerClient) {
      return new Dropped('outgoingMessagesPerClient', `it reads too slowly: ${messages} messages wait for it`);
    }
    return undefined;
  }

  async #authenticate(
    client: Client,
    username: string | undefined,
    password: Buffer | undefined,
  ): Promise<AuthenticateError | null> {
    const problem = this.#problems.get(client);
    if (problem !== undefined) return refused(problem.code, problem.message);
    const login = (await this.#byCertificate(client)) ?? (await this.#byPassword(username, password));
    return login instanceof Error ? login : this.#admit(client, login);
  }

  /** Undefined when the client has shown no certificate. One that does not count is not made up for by a password. */
  async #byCertificate(client: Client): Promise<Login | AuthenticateError | undefined> {
    const { members, connections, incidents, mesh } = this.#parts;
    const socket = connections.socket(client.conn as Duplex);
    if (socket === undefined || mesh === undefined) return undefined;
    await refreshed(members, incidents);
    try {
      const shown = shownNode(socket, members);
      if (shown === undefined) return undefined;
      const { node, mayLead, endsAtMs } = shown;
      return {
        principal: { kind: 'node', mesh, node, mayLead },
        stillGood: () =>
          members.problemOf(shown) === undefined && Math.max(endsAtMs, members.endOf(node) ?? 0) > Date.now(),
      };
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      return refused(notAuthorized, error.message);
    }
  }

  async #byPassword(username: string | undefined, password: Buffer | undefined): Promise<Login | AuthenticateError> {
    const { accounts, limits, incidents } = this.#parts;
    if (username === undefined || password === undefined) return refused(notAuthorized, 'no account was named');
    if (Buffer.byteLength(username) > limits.usernameBytes || password.length > limits.passwordBytes) {
      return refused(badUserNameOrPassword, 'the account name or password is too long');
    }
    await refreshed(accounts, incidents);
    const verdict = await accounts.verify(username, password.toString());
    if (verdict === 'busy') return refused(serverUnavailable, 'too many passwords are being checked');
    if (verdict === 'wrong') return refused(badUserNameOrPassword, `wrong account or password for "${username}"`);
    const version = accounts.version(username);
    const principal = { kind: 'account' as const, account: username, role: accounts.roleOf(username) ?? 'viewer' };
    return { principal, stillGood: () => accounts.version(username) === version };
  }

  /** The last step of a login, however it was shown who comes. */
  #admit(client: Client, login: Login): AuthenticateError | null {
    const { principal } = login;
    const { sessions } = this.#parts.persistence;
    const will = this.#wills.get(client);
    const problem = will && this.#writeProblem(principal, will.topic, will.payload);
    if (problem !== undefined) return refused(notAuthorized, `last will: ${problem}`);
    const holder = this.#parts.clientOf(client.id);
    const name = ownerName(principal);
    if (holder !== undefined && this.ownerOf(holder) !== name)
      return refused(identifierRejected, 'another account is connected with this client id');
    const owner = sessions.owner(client.id);
    const isAllowed = sessions.filters(client.id).every(([filter]) => maySubscribe(principal, filter));
    // Else one account would receive what was queued for another, or what it may no longer read.
    if (owner !== undefined && (owner !== name || !isAllowed)) sessions.drop(client.id);
    this.#logins.set(client, login);
    return null;
  }

  #writeProblem(principal: Principal | undefined, topic: string, payload: string | Uint8Array): string | undefined {
    if (principal !== undefined && mayPublish(principal, topic, payload.length === 0)) return undefined;
    return `${nameOf(principal)} may not write ${topic}`;
  }

  /** Lets a client's publishes be acknowledged in the order in which they came, though some wait for the disk. */
  #inLine(client: Client, stored: Promise<unknown> | undefined, done: (error?: Error | null) => void): void {
    const before = this.#lines.get(client);
    if (before === undefined && stored === undefined) {
      done();
      return;
    }
    const turn = (before ?? Promise.resolve())
      .then(() => stored)
      .then(
        () => done(),
        (error: Error) => done(new Dropped('storeWrite', error.message)),
      );
    const line = turn
      .catch((error: unknown) => client.emit('error', error))
      .finally(() => {
        if (this.#lines.get(client) === line) this.#lines.delete(client);
      });
    this.#lines.set(client, line);
  }
}

function nameIn(principal: Principal): string {
  return principal.kind === 'account' ? principal.account : principal.node;
}

/** No account has a space in its name. */
function ownerName(principal: Principal): string {
  return principal.kind === 'account' ? principal.account : `node ${principal.mesh} ${principal.node}`;
}

function nameOf(principal: Principal | undefined): string {
  return principal === undefined ? 'one who has not logged in' : describePrincipal(principal);
}

function wantsAcknowledged(client: Client, topic: string): boolean {
  const { subscriptions } = client as Client & { subscriptions: Record<string, { qos: number }> };
  for (const filter in subscriptions) {
    if (subscriptions[filter]!.qos > 0 && filterMatches(filter, topic)) return true;
  }
  return false;
}

function refused(returnCode: number, message: string): AuthenticateError {
  return Object.assign(new Dropped('login', message), { returnCode }) as AuthenticateError;
}
