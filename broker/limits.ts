import { limits } from '@foremesh/node-runtime/contract';

/**
 * Every limit of the broker, by name; the contract's own (`limits.payloadBytes`, topics) are not repeated. What passes one
 * is refused or dropped, counted under the limit's name, and logged. Units are last in the name.
 */
export const brokerLimits = {
  /** One PUBLISH packet after its fixed header: topic, its length, packet identifier, payload. */
  publishPacketBytes: limits.payloadBytes + limits.topicBytes + 4,
  /** One CONNECT packet, will included: all that a stranger can make us hold. */
  connectPacketBytes: 16_384,
  /** One SUBSCRIBE or UNSUBSCRIBE packet. */
  subscribePacketBytes: 65_536,
  /** One WebSocket frame; it may carry several packets. */
  webSocketFrameBytes: 1_048_576,
  httpHeaderBytes: 8_192,

  /** TCP and WebSocket together. */
  connections: 12_000,
  /** Connections that have not been admitted yet. */
  connectionsPending: 2_000,
  /** From the first byte of a connection to its complete CONNECT. */
  connectTimeoutMs: 10_000,
  /** A second of silence that TCP itself probes, for clients that chose keepalive 0. */
  tcpKeepaliveMs: 60_000,
  clientIdBytes: 128,
  usernameBytes: 64,
  passwordBytes: 256,
  /** Packets that a client may send ahead of our CONNACK. */
  packetsBeforeConnack: 64,

  subscriptionsPerClient: 1_000,
  /** QoS 2 handshakes that one publisher keeps open. */
  exactlyOnceInFlightPerClient: 64,

  /** Bytes that wait for one client's socket; a client that lets more pile up is dropped. */
  outgoingBytesPerClient: 16 * 1024 ** 2,
  /** The same in messages: small ones cost more memory than their bytes. */
  outgoingMessagesPerClient: 20_000,
  /** A client whose socket takes no byte for this long, while bytes wait, is frozen: it is dropped. */
  frozenMs: 2_000,
  /** How long a publisher waits for a subscriber that is slow; afterwards only the slow one is late. */
  patienceMs: 100,

  /** Persistent sessions (clean session off), connected or not; the one away longest makes room. */
  sessions: 10_000,
  /** A session that stays away longer is forgotten. */
  sessionExpiryMs: 7 * 24 * 3_600_000,
  /** Messages kept for one session; the oldest is dropped. */
  queuedMessagesPerSession: 1_000,
  queuedBytesPerSession: 8 * 1024 ** 2,
  queuedMessages: 200_000,
  queuedBytes: 512 * 1024 ** 2,

  /** A message beyond these is delivered but not retained. */
  retainedMessages: 65_536,
  retainedBytes: 512 * 1024 ** 2,

  /**
   * A blob that no job needs goes once nobody has put it or asked for it for this long. Whatever is on its way into a job is to be
   * named by its spec before that; and it must be more than the minute for which who has put a blob does not ask for it again.
   */
  blobGraceMs: 3_600_000,

  accounts: 20_000,
  accountsFileBytes: 16 * 1024 ** 2,
  /** Password checks (about 50 ms of one core each) at once, and those that may wait. */
  passwordChecks: 2,
  passwordChecksWaiting: 2_000,
  /** Wrong passwords remembered, so that a misconfigured fleet costs one check each. */
  passwordsRefusedRemembered: 10_000,
  accountsCheckMs: 2_000,

  membersFileBytes: 16 * 1024 ** 2,
  /** Invitations that are open, or ended less than a day ago. */
  invitations: 1_000,
  /** Devices that one invitation may be for, and how long it may last. */
  invitationUses: 1_000,
  invitationMs: 30 * 86_400_000,
  /** How long a certificate is good for; the broker and each node renew their own at two thirds of it. */
  serverCertificateMs: 90 * 86_400_000,
  nodeCertificateMs: 90 * 86_400_000,
  /** How often the broker looks whether its own certificate must be renewed. */
  certificateCheckMs: 3_600_000,
  /** HTTP connections at once over TLS, upgrades to WebSocket not counted; and how long one may take, answer included. */
  httpConnections: 256,
  httpExchangeMs: 60_000,
  /** Questions of machines that join, answered at once; more are refused. */
  joiningAtOnce: 64,

  /** How often the broker looks whether the addresses have changed at which mDNS names it. */
  announceLookMs: 5_000,
  /** The least between two answers to all by mDNS on one link; what is asked meanwhile is answered together. */
  announceIntervalMs: 1_000,
  /** How long `close` waits for its goodbye to be sent. */
  announceGoodbyeMs: 500,

  /** Log lines of one kind per window; the rest is counted. */
  logLinesPerWindow: 10,
  logWindowMs: 10_000,
  /** How long `close` waits for clients to go before it cuts them. */
  closeMs: 3_000,
} as const;

export type BrokerLimits = { readonly [name in keyof typeof brokerLimits]: number };
