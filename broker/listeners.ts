import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer } from 'node:tls';
import { MeshError } from '@foremesh/node-runtime/contract';
import type { WebSocket } from 'ws';
import type { BrokerLimits } from './limits.ts';
import type { Listen } from './options.ts';

/** Takes a connection that just opened; what it does not want it destroys. */
export type Accept = (stream: Duplex, socket: Socket, request?: IncomingMessage) => void;

/** Hears of what goes wrong after the start: no file descriptor left for a connection, for example. */
export type Failed = (error: Error) => void;

export interface Listener {
  readonly host: string;
  readonly port: number;
  /** Stops accepting; open connections are the caller's to end. */
  close(): void;
}

/** MQTT over TCP. Throws `MESH_CONFIG_INVALID` when the address is taken or not ours. */
export async function listenTcp(at: Listen, limits: BrokerLimits, accept: Accept, failed: Failed): Promise<Listener> {
  // Without noDelay a QoS 1 round trip costs 44 ms. TCP keepalive finds dead peers that chose no MQTT keepalive.
  const server = createServer(
    { noDelay: true, keepAlive: true, keepAliveInitialDelay: limits.tcpKeepaliveMs },
    (socket) => accept(socket, socket),
  );
  return begin(server, at, '--port', failed);
}

/** MQTT over WebSocket on path /mqtt; nothing else is served. Throws as `listenTcp`. */
export async function listenWebSocket(
  at: Listen,
  limits: BrokerLimits,
  accept: Accept,
  failed: Failed,
): Promise<Listener> {
  return begin(
    webSocketServer(limits, accept, () => false),
    at,
    '--websocket-port',
    failed,
  );
}

/** Answers an HTTP request; false when its path is nothing to it. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => boolean;

export interface SecureListener extends Listener {
  /** Takes another certificate for the connections to come. */
  certify(pair: ServerPair): void;
}

export interface ServerPair {
  readonly key: string;
  readonly certificate: string;
}

export interface SecureOptions {
  readonly pair: ServerPair;
  /** The CA that certified the pair, and certifies clients. */
  readonly authority: string;
  readonly answer: Answer;
  /** A handshake that came to nothing. */
  readonly refused: (error: Error) => void;
}

/** The first byte of an MQTT connection: a CONNECT packet. HTTP begins with a letter. */
const connectByte = 0x10;

/**
 * MQTT over TLS, and over the same port MQTT over WebSocket (path /mqtt) and HTTPS: one port to remember and to open. A
 * client may show a certificate; whether it counts is for who reads it. Throws as `listenTcp`.
 */
export async function listenTls(
  at: Listen,
  limits: BrokerLimits,
  accept: Accept,
  failed: Failed,
  { pair, authority, answer, refused }: SecureOptions,
): Promise<SecureListener> {
  const http = webSocketServer(limits, accept, answer);
  /** Connections that are not in anybody's hands yet, with their deadlines: `http` is no listener here, and keeps no time itself. */
  const pending = new Map<Socket, NodeJS.Timeout>();
  const asking = new Set<Socket>();
  let isClosed = false;
  const wait = (socket: Socket, ms: number) => {
    clearTimeout(pending.get(socket));
    pending.set(
      socket,
      setTimeout(() => socket.destroy(), ms),
    );
  };
  const handOver = (socket: Socket) => {
    clearTimeout(pending.get(socket));
    pending.delete(socket);
    asking.delete(socket);
  };
  const ask = (socket: Socket) => {
    if (asking.size >= limits.httpConnections) {
      refused(new Error(`httpConnections is ${limits.httpConnections}`));
      socket.destroy();
      return;
    }
    asking.add(socket);
    wait(socket, limits.httpExchangeMs);
    http.emit('connection', socket);
  };
  http.on('upgrade', (_request, socket: Socket) => handOver(socket));
  const secure = ({ key, certificate }: ServerPair) => ({
    key,
    // The CA goes along: a client that knows its fingerprint alone can check it.
    cert: certificate + authority,
    ca: authority,
    minVersion: 'TLSv1.2' as const,
  });
  const server = createTlsServer(
    {
      ...secure(pair),
      requestCert: true,
      rejectUnauthorized: false,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: limits.tcpKeepaliveMs,
      handshakeTimeout: limits.connectTimeoutMs,
    },
    (socket) => {
      socket.on('error', () => socket.destroy()).once('close', () => handOver(socket));
      if (isClosed) {
        socket.destroy();
        return;
      }
      wait(socket, limits.connectTimeoutMs);
      const begun = () => {
        const first = socket.read() as Buffer | null;
        if (first === null) return;
        socket.removeListener('readable', begun).unshift(first);
        if (first[0] !== connectByte) ask(socket);
        else {
          handOver(socket);
          accept(socket, socket);
        }
      };
      socket.on('readable', begun);
    },
  );
  server.maxConnections = limits.connections;
  server.on('tlsClientError', (error, socket) => {
    refused(error);
    socket.destroy(); // Node leaves one that never shook hands to us
  });
  const listener = await begin(server, at, '--tls-port', failed);
  return {
    ...listener,
    certify: (next) => server.setSecureContext(secure(next)),
    close: () => {
      listener.close();
      isClosed = true;
      for (const socket of pending.keys()) socket.destroy();
    },
  };
}

function webSocketServer(limits: BrokerLimits, accept: Accept, answer: Answer): HttpServer {
  const http = createHttpServer({
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: limits.tcpKeepaliveMs,
    maxHeaderSize: limits.httpHeaderBytes,
    headersTimeout: limits.connectTimeoutMs,
    requestTimeout: limits.connectTimeoutMs,
    connectionsCheckingInterval: Math.max(50, Math.min(1_000, limits.connectTimeoutMs / 4)),
  });
  http.maxConnections = limits.connections;
  http.on('request', (request, response) => {
    if (answer(request, response)) return;
    response.writeHead(426, { connection: 'close', upgrade: 'websocket' }).end('MQTT over WebSocket is on /mqtt\n');
  });
  let loading: ReturnType<typeof loadWebSockets> | undefined;
  http.on('upgrade', (request, socket: Socket, head) => {
    socket.on('error', () => socket.destroy());
    // Not `new URL`: it throws on what a stranger may write here.
    if (request.url?.split('?')[0] !== '/mqtt') {
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n');
      return;
    }
    loading ??= loadWebSockets(limits);
    loading.then(
      ({ server, createStream }) =>
        server.handleUpgrade(request, socket, head, (webSocket) => accept(createStream(webSocket), socket, request)),
      () => socket.destroy(),
    );
  });
  return http;
}

/** 10 MB, for who comes by WebSocket: most brokers serve none. */
async function loadWebSockets(limits: BrokerLimits) {
  const { createWebSocketStream, WebSocketServer } = await import('ws');
  const server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: limits.webSocketFrameBytes,
    handleProtocols: (offered) => (offered.has('mqtt') ? 'mqtt' : offered.has('mqttv3.1') ? 'mqttv3.1' : false),
  });
  return { server, createStream: (webSocket: WebSocket) => createWebSocketStream(webSocket) };
}

async function begin(
  server: Server | HttpServer,
  { host, port }: Listen,
  option: string,
  failed: Failed,
): Promise<Listener> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port, option)));
    server.listen({ host, port }, resolve);
  });
  server.removeAllListeners('error').on('error', failed);
  const address = server.address() as AddressInfo;
  return {
    host: address.family === 'IPv6' ? `[${address.address}]` : address.address,
    port: address.port,
    close() {
      server.close();
      if ('closeIdleConnections' in server) server.closeAllConnections();
    },
  };
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number, option: string): MeshError {
  const where = `${host}:${port}`;
  const details = { where, cause: error };
  switch (error.code) {
    case 'EADDRINUSE':
      return new MeshError('MESH_CONFIG_INVALID', 'the port is in use', {
        ...details,
        mend: `stop what uses it, or take another with ${option}`,
      });
    case 'EACCES':
      return new MeshError('MESH_CONFIG_INVALID', 'this user may not use the port', {
        ...details,
        mend: `take one above 1023 with ${option}`,
      });
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new MeshError('MESH_CONFIG_INVALID', 'this machine has no such address', {
        ...details,
        mend: 'use 127.0.0.1, 0.0.0.0 or an address of this machine with --host',
      });
    default:
      return new MeshError('MESH_CONFIG_INVALID', `cannot listen: ${error.message}`, details);
  }
}
