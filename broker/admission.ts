import type { Duplex } from 'node:stream';
import { MeshError } from '@foremesh/node-runtime/contract';
import type { AedesOptions, AuthenticateError, Client, PublishPacket } from 'aedes';
import type { Accounts } from './accounts.ts';
import { type Connections, Dropped } from './connections.ts';
import type { Members } from './joining/members.ts';
import { shownNode } from './joining/shown-certificate.ts';
import type { BrokerLimits } from './limits.ts';
import type { Incidents } from './log.ts';
import { type Principal, principalName } from './principal.ts';
import type { BrokerPersistence } from './store/persistence.ts';
import { filterMatches, filterProblem, topicProblem } from './topic-rules.ts';

/** CONNACK return codes of MQTT 3.1.1. */
const identifierRejected = 2;
const serverUnavailable = 3;
const badUserNameOrPassword = 4;
const notAuthorized = 5;

/** What is told when a file of who may come in has become unreadable. */
export const fileTrouble = 'a file of who may come in cannot be read; what it said before holds';

interface Login {
  readonly principal: Principal;
  /** Whether who logged in like this would be let in today. */
  readonly stillGood: () => boolean;
}

export interface AdmissionParts {
  readonly accounts: Accounts;
  readonly members: Members;
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

type Hooks = Required<
  Pick<AedesOptions, 'preConnect' | 'authenticate' | 'authorizePublish' | 'authorizeSubscribe' | 'authorizeForward'>
>;

/** Who may come in, and what those inside may publish, subscribe to and be sent. */
export class Admission {
  readonly #parts: AdmissionParts;
  readonly #logins = new WeakMap<Client, Login>();
  /** What is wrong with a CONNECT; told once the client is known by name. */
  readonly #problems = new WeakMap<Client, { code: number; message: string }>();
  /** The end of the line of publishes that a client waits for. */
  readonly #lines = new WeakMap<Client, Promise<unknown>>();

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
  }

  principalOf(client: Client): Principal | undefined {
    return this.#logins.get(client)?.principal;
  }

  /** Whose the client is: of an account or a node, as `principalName` has it. */
  ownerOf(client: Client): string | undefined {
    const principal = this.principalOf(client);
    return principal === undefined ? undefined : principalName(principal);
  }

  /**
   * Whether the client's account still exists with the password that it logged in with; of a node, whether it has not been
   * removed and its certificate, or one that it got since, is still good.
   */
  stillWelcome(client: Client): boolean {
    return this.#logins.get(client)?.stillGood() ?? true;
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
        if (client === null || client.closed) return done();
        const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
        const stored = this.#parts.persistence.admit({ ...packet, payload });
        // To be acknowledged means to be stored; to be delivered does not. Unless somebody has a queue: what is on its way to
        // a client and into its queue at once would come twice. (QoS 2 is published by Aedes, once only.)
        if (packet.qos < 2 && this.#parts.persistence.sessions.size === 0) this.#parts.begin(packet, client);
        this.#inLine(client, stored, done);
      },

      authorizeSubscribe: (client, subscription, done) => {
        const held = Object.keys((client as Client & { subscriptions: object }).subscriptions).length;
        const problem =
          filterProblem(subscription.topic) ??
          (held >= limits.subscriptionsPerClient
            ? `subscriptionsPerClient is ${limits.subscriptionsPerClient}`
            : undefined);
        if (problem === undefined) return done(null, subscription);
        this.#parts.incidents.report(
          'subscription',
          { ...this.describe(client), filter: subscription.topic, problem },
          'a subscription was refused',
        );
        done(null, null);
      },

      authorizeForward: (client, packet) => {
        const tooMuch = this.#tooMuchWaits(client);
        if (tooMuch !== undefined) {
          client.conn.destroy(tooMuch);
          return null;
        }
        // QoS 2 is spoken with the publisher only; beyond the broker it is 1.
        if (packet.qos === 2) packet.qos = 1;
        // Aedes downgrades a retained message to the subscription's QoS only when that has no wildcard.
        if (packet.retain && packet.qos === 1 && !wantsAcknowledged(client, packet.topic)) packet.qos = 0;
        return packet;
      },
    };
  }

  describe(client: Client): { client: string; account?: string; remote: string } {
    const owner = this.ownerOf(client);
    return {
      client: client.id ?? '',
      ...(owner === undefined ? {} : { account: owner }),
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
    if (login instanceof Error) return login;
    const { persistence, clientOf } = this.#parts;
    const name = principalName(login.principal);
    const holder = clientOf(client.id);
    if (holder !== undefined && this.ownerOf(holder) !== name) {
      return refused(identifierRejected, 'another account is connected with this client id');
    }
    const owner = persistence.sessions.owner(client.id);
    // Else one account would receive what was queued for another.
    if (owner !== undefined && owner !== name) persistence.sessions.drop(client.id);
    this.#logins.set(client, login);
    return null;
  }

  /** Undefined when the client has shown no certificate. One that does not count is not made up for by a password. */
  async #byCertificate(client: Client): Promise<Login | AuthenticateError | undefined> {
    const { members, connections } = this.#parts;
    const socket = connections.socket(client.conn as Duplex);
    if (socket === undefined) return undefined;
    await this.#refresh(members, 'membersFile');
    try {
      const shown = shownNode(socket, members);
      if (shown === undefined) return undefined;
      const { node, mayLead, endsAtMs } = shown;
      return {
        principal: { kind: 'node', node, mayLead },
        stillGood: () =>
          members.problemOf(shown) === undefined && Math.max(endsAtMs, members.endOf(node) ?? 0) > Date.now(),
      };
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      return refused(notAuthorized, error.message);
    }
  }

  async #byPassword(username: string | undefined, password: Buffer | undefined): Promise<Login | AuthenticateError> {
    const { accounts, limits } = this.#parts;
    if (username === undefined || password === undefined) return refused(notAuthorized, 'no account was named');
    if (Buffer.byteLength(username) > limits.usernameBytes || password.length > limits.passwordBytes) {
      return refused(badUserNameOrPassword, 'the account name or password is too long');
    }
    await this.#refresh(accounts, 'accountsFile');
    const verdict = await accounts.verify(username, password.toString());
    if (verdict === 'busy') return refused(serverUnavailable, 'too many passwords are being checked');
    if (verdict === 'wrong') return refused(badUserNameOrPassword, `wrong account or password for "${username}"`);
    const version = accounts.version(username);
    return {
      principal: { kind: 'account', account: username },
      stillGood: () => accounts.version(username) === version,
    };
  }

  /** Reads again what has changed on disk; what cannot be read leaves the old in force. */
  async #refresh(file: { refresh(): Promise<boolean> }, kind: string): Promise<void> {
    await file.refresh().catch((error: unknown) => {
      this.#parts.incidents.report(kind, { error: String(error) }, fileTrouble, 'error');
    });
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
