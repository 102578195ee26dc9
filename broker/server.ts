import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import {
  bodyOf,
  decode,
  isIdentifier,
  MeshError,
  nodeStatus,
  Topics,
  type Transport,
} from '@foremesh/node-runtime/contract';
import type { Client } from 'aedes';
import { Accounts } from './accounts.ts';
import { Admission } from './admission.ts';
import { startBlobService } from './blob-service.ts';
import { Connections, Dropped } from './connections.ts';
import { readMesh } from './home.ts';
import { watchHome } from './home-watch.ts';
import { InternalTransport } from './internal-transport.ts';
import { Members } from './joining/members.ts';
import { type Accept, type Listener, listenTcp, listenWebSocket } from './listeners.ts';
import { Incidents } from './log.ts';
import { type BrokerOptions, type BrokerSettings, checkOptions } from './options.ts';
import { PatientBroker } from './patient-broker.ts';
import { BrokerPersistence } from './store/persistence.ts';

export interface BrokerStatistics {
  readonly connections: number;
  readonly sessions: number;
  readonly queuedMessages: number;
  readonly retainedMessages: number;
  readonly retainedBytes: number;
  /** What was refused or dropped since the start, by kind; limits count under their names. */
  readonly incidents: Readonly<Record<string, number>>;
}

export interface RunningBroker {
  /** Where clients connect: `mqtt://127.0.0.1:1883`, `ws://127.0.0.1:8083/mqtt`. */
  readonly urls: readonly string[];
  readonly tcpPort: number;
  readonly webSocketPort: number | undefined;
  /** MQTT, WebSocket and HTTPS over TLS. */
  readonly tlsPort: number | undefined;
  /** A connection without a socket, for what runs in this process. The caller closes it. */
  transport(): Transport;
  statistics(): BrokerStatistics;
  /** Ends every connection (wills are published and stored), stops serving, closes the store. Bounded in time. */
  close(): Promise<void>;
}

/**
 * Starts a broker on `home`. Throws `MESH_CONFIG_INVALID` (an option, a port in use, a damaged accounts file),
 * `MESH_IDENTITY_IN_USE` (another broker on this home), `MESH_STORAGE_FAILED` (a damaged store, a disk that refuses).
 */
export async function startBroker(options: BrokerOptions): Promise<RunningBroker> {
  const settings = checkOptions(options);
  const { limits } = settings;
  const incidents = new Incidents(options.log, limits.logLinesPerWindow, limits.logWindowMs);
  // What has been opened, to be closed in reverse order: by `close`, or when a later step fails.
  const opened: (() => unknown)[] = [];
  const closeAll = async () => {
    for (const close of opened.reverse()) await close();
  };
  try {
    return await start(settings, incidents, opened, closeAll);
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function start(
  settings: BrokerSettings,
  incidents: Incidents,
  opened: (() => unknown)[],
  closeAll: () => Promise<void>,
): Promise<RunningBroker> {
  const { home, limits } = settings;
  const mesh = await readMesh(home);
  const accounts = new Accounts(home, limits);
  const members = new Members(home);
  await Promise.all([accounts.refresh(), members.refresh()]);
  if (accounts.size === 0) {
    incidents.log.warn({ file: accounts.path }, 'there is no account yet: nobody can connect');
  }
  const persistence = await BrokerPersistence.open(
    { location: join(home, 'broker', 'store'), sync: settings.syncWrites, repair: settings.repairStore },
    limits,
    incidents,
  );
  opened.push(() => persistence.close());

  const connections = new Connections(limits, incidents);
  const clients = new Map<string, Client>();
  const admission = new Admission({
    accounts,
    members,
    mesh,
    persistence,
    connections,
    limits,
    incidents,
    clientOf: (id) => clients.get(id),
    outstanding: (client) => broker.outstanding(client),
    begin: (packet, client) => broker.begin(packet, client),
  });
  const broker: PatientBroker = makeBroker(settings, persistence, admission);
  persistence.identify({
    ownerOf: (id) => {
      const client = clients.get(id);
      return client && admission.ownerOf(client);
    },
    mayRead: (id, filter) => {
      const client = clients.get(id);
      return client !== undefined && admission.readProblem(client, filter) === undefined;
    },
  });
  watch(broker, { clients, persistence, connections, admission, incidents });
  await broker.listen();
  opened.push(async () => {
    await closeBroker(broker, limits.closeMs);
    connections.destroyAll();
    await persistence.flush();
  });

  accounts.onChange(() => {
    dropUnwelcome(clients, admission);
    persistence.sessions.dropOf((owner) => isIdentifier(owner) && accounts.version(owner) === undefined);
  });
  members.onChange(() => dropUnwelcome(clients, admission));
  opened.push(watchHome(home, [accounts, members], limits, incidents));
  // Certificates end without a word.
  const endTimer = setInterval(() => dropUnwelcome(clients, admission), limits.accountsCheckMs);
  endTimer.unref();
  const expiryTimer = setInterval(() => persistence.sessions.expire(), 3_600_000);
  expiryTimer.unref();
  opened.push(() => {
    clearInterval(endTimer);
    clearInterval(expiryTimer);
  });

  const transport = () => new InternalTransport(broker, persistence, incidents);
  const meshes = settings.meshes ?? (mesh === undefined ? [] : [mesh]);
  if (meshes.length > 0) {
    const inside = transport();
    opened.push(() => inside.close());
    const directory = join(home, 'broker', 'blobs');
    opened.push(
      await startBlobService({
        directory,
        meshes,
        limitBytes: settings.blobLimitBytes,
        graceMs: limits.blobGraceMs,
        transport: inside,
        incidents,
      }),
    );
  }

  const accept: Accept = (stream, socket, request) => {
    // Until Aedes listens, an error (a reset) must not end the process.
    stream.on('error', () => socket.destroy());
    if (!connections.add(stream, socket)) {
      stream.destroy();
      socket.destroy();
      return;
    }
    broker.handle(stream as Socket, request);
  };
  const failed = (error: Error) =>
    incidents.report('listener', { error: error.message }, 'a listener met an error', 'error');
  const tcp = await listenTcp(settings.tcp, limits, accept, failed);
  opened.push(() => tcp.close());
  let webSocket: Listener | undefined;
  if (settings.webSocket !== undefined) {
    webSocket = await listenWebSocket(settings.webSocket, limits, accept, failed);
    opened.push(webSocket.close);
  }

  let secure: Listener | undefined;
  if (settings.tls !== undefined) {
    const { tls: at, announce } = settings;
    const connectedFrom = (node: string) => addressesOf(node, clients, admission, connections);
    const knownKey = (node: string) => keyInStatus(persistence, mesh!, node);
    const { openSecureFront } = await import('./joining/secure-front.ts');
    const who = { members, connectedFrom, knownKey };
    secure = await openSecureFront({ home, at, announce, accept, failed, limits, incidents, ...who });
    opened.push(secure.close);
  }

  const urls = [`mqtt://${tcp.host}:${tcp.port}`];
  if (webSocket !== undefined) urls.push(`ws://${webSocket.host}:${webSocket.port}/mqtt`);
  if (secure !== undefined) urls.push(`mqtts://${secure.host}:${secure.port}`);
  let closing: Promise<void> | undefined;
  return {
    urls,
    tcpPort: tcp.port,
    webSocketPort: webSocket?.port,
    tlsPort: secure?.port,
    transport,
    statistics: () => ({
      connections: connections.size,
      sessions: persistence.sessions.size,
      queuedMessages: persistence.sessions.queuedMessages,
      retainedMessages: persistence.retained.size,
      retainedBytes: persistence.retained.bytes,
      incidents: incidents.counts(),
    }),
    close: () => {
      closing ??= closeAll();
      return closing;
    },
  };
}

function makeBroker(
  { limits, heartbeatMs }: BrokerSettings,
  persistence: BrokerPersistence,
  admission: Admission,
): PatientBroker {
  const options = {
    id: persistence.brokerId,
    persistence,
    ...admission.hooks(),
    // 0: messages do not queue behind each other; `PatientBroker` keeps one slow subscriber from holding the rest.
    concurrency: 0,
    connectTimeout: limits.connectTimeoutMs,
    heartbeatInterval: heartbeatMs,
    // Behind for a whole minute though it reads. Frozen ones go long before (`frozenMs`).
    drainTimeout: 60_000,
    queueLimit: limits.packetsBeforeConnack,
    maxInflightInbound: limits.exactlyOnceInFlightPerClient,
    // More than a topic may have: `topicProblem` and `filterProblem` tell which limit it is.
    maxTopicLevels: 100,
  };
  return new PatientBroker(options, limits.patienceMs);
}

interface Watched {
  readonly clients: Map<string, Client>;
  readonly persistence: BrokerPersistence;
  readonly connections: Connections;
  readonly admission: Admission;
  readonly incidents: Incidents;
}

/** Follows who is connected, and logs why somebody no longer is. */
function watch(broker: PatientBroker, { clients, persistence, connections, admission, incidents }: Watched): void {
  broker.on('client', (client) => {
    clients.set(client.id, client);
    connections.admitted(client.conn);
    persistence.sessions.setConnected(client.id, true);
    // It went while it was being admitted: Aedes would keep it for ever.
    if (client.closed) setImmediate(() => forget(broker, clients, client));
  });
  broker.on('clientDisconnect', (client) => {
    const holder = clients.get(client.id);
    if (holder !== client) {
      // It never got as far as taking the id over, but Aedes took the id from who has it.
      if (holder?.closed === false) restore(broker, holder);
      return;
    }
    clients.delete(client.id);
    persistence.sessions.setConnected(client.id, false);
    void persistence.cleanIncoming(client);
  });
  const report = (client: Client, error: Error) => {
    // Ends of connections that tell nothing: the peer went, or we had already ended it.
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ECONNRESET' || code === 'EPIPE' || error.message === 'connection closed') return;
    const kind = error instanceof Dropped ? error.kind : kindOf(error.message);
    incidents.report(kind, { ...admission.describe(client), reason: error.message }, 'a client was dropped');
  };
  broker.on('clientError', report);
  broker.on('connectionError', report);
  (broker as EventEmitter).on('error', (error: Error) => {
    incidents.report('broker', { error: error.message }, 'the broker met an error', 'error');
  });
}

function kindOf(message: string): string {
  if (message === 'keep alive timeout') return 'keepalive';
  if (message === 'connect did not arrive in time') return 'connectTimeoutMs';
  if (message === 'drain timeout') return 'drainTimeout';
  if (message.startsWith('maxInflightInbound')) return 'exactlyOnceInFlightPerClient';
  return 'protocol';
}

/** What Aedes has and its types do not tell. */
interface Registry {
  clients: Record<string, Client>;
  connectedClients: number;
  unregisterClient(client: Client): void;
}

function forget(broker: PatientBroker, clients: ReadonlyMap<string, Client>, client: Client): void {
  if (clients.get(client.id) === client) (broker as unknown as Registry).unregisterClient(client);
}

function restore(broker: PatientBroker, client: Client): void {
  const registry = broker as unknown as Registry;
  registry.clients[client.id] = client;
  registry.connectedClients += 1;
}

function dropUnwelcome(clients: ReadonlyMap<string, Client>, admission: Admission): void {
  for (const client of clients.values()) {
    if (admission.stillWelcome(client)) continue;
    const reason =
      admission.principalOf(client)?.kind === 'node'
        ? new Dropped('nodeRemoved', 'its node was removed, or its certificate has ended')
        : new Dropped('accountChanged', 'its account is gone or has another password');
    (client.conn as Duplex).destroy(reason);
  }
}

/** Where the connections of a node come from. */
function addressesOf(
  node: string,
  clients: ReadonlyMap<string, Client>,
  admission: Admission,
  connections: Connections,
): string[] {
  return [...clients.values()].flatMap((client) => {
    const principal = admission.principalOf(client);
    const address = connections.socket(client.conn as Duplex)?.remoteAddress;
    return principal?.kind === 'node' && principal.node === node && address !== undefined ? [address] : [];
  });
}

/** The key that a node last said is its own: of nodes that have no certificate it is all that is known here. */
async function keyInStatus(persistence: BrokerPersistence, mesh: string, node: string): Promise<string | undefined> {
  for await (const { payload } of persistence.retained.matching(new Topics(mesh).nodeStatus(node))) {
    try {
      return decode(nodeStatus, bodyOf(payload)).publicKey;
    } catch (error) {
      if (!(error instanceof MeshError)) throw error; // what is no status names no key
    }
  }
  return undefined;
}

async function closeBroker(broker: PatientBroker, closeMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, closeMs);
  });
  await Promise.race([new Promise<void>((resolve) => broker.close(resolve)), tooLong]);
  clearTimeout(timer);
  // Wills are published in the turns after their clients were closed.
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
