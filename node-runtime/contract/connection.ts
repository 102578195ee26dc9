import { MeshError } from './errors.ts';
import { limits } from './limits.ts';
import { isPublicKey } from './seal.ts';
import { isIdentifier } from './topics.ts';

/** Where a broker listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Where a mesh is, and what it is known by. */
export interface MeshPlace extends Address {
  /** More addresses of the same broker: whichever answers is taken. */
  readonly others?: readonly Address[];
  readonly mesh: string;
  /** The founder's public key: of all that call themselves by the mesh's name, which one is meant. Nodes need it. */
  readonly meshId?: string;
  /** SHA-256 of the certificate of the mesh's CA, in base64url. With it the way is TLS, and the broker must be certified by this CA. */
  readonly ca?: string;
  /** How fast its voters notice that their leader is gone: `edge` (patient) unless founded otherwise. */
  readonly profile?: 'edge' | 'lan';
}

/** All that a client, or a node that has an account, needs to reach its mesh. */
export interface Connection extends MeshPlace {
  readonly account: string;
  readonly password: string;
}

/** All that a machine needs to become a node of the mesh. */
export interface Invitation extends MeshPlace {
  readonly meshId: string;
  readonly ca: string;
  readonly token: InvitationToken;
}

export interface InvitationToken {
  readonly id: string;
  readonly secret: string;
}

const pattern = /^foremesh:\/\/(?:([^:@/]+):([^:@/]+)@)?([^\s@/?#]+)\/([^/?#]+)(?:\?([^#]*))?$/;
const addressPattern = /^(\[[0-9A-Fa-f:.]+\]|[^\s:@/[\]?#,]+)(?::(\d{1,5}))?$/;
const tokenPattern = /^([A-Za-z0-9_-]{1,64})\.([A-Za-z0-9_-]{20,64})$/;
/** Of MQTT, and of MQTT over TLS. */
const plainPort = 1883;
export const tlsPort = 8883;
const wholeString = 'take the whole connection string that `foremesh init` printed';
const wholeInvitation = 'take the whole string that `foremesh invite` printed';

/**
 * `foremesh://<account>:<password>@<host>[:<port>][,<host>...]/<mesh>[?id=<mesh id>&ca=<fingerprint>&profile=lan]`,
 * percent-encoded. Throws `MESH_CONFIG_INVALID`.
 */
export function parseConnection(text: string, where = 'connection string'): Connection {
  const { account, password, token, ...place } = parse(text, where);
  if (account === undefined || password === undefined || token !== undefined) {
    throw new MeshError('MESH_CONFIG_INVALID', 'this is no connection string of an account', {
      where,
      mend:
        token === undefined
          ? wholeString
          : 'it is an invitation: `foremesh join` takes it, and after that `foremesh node` needs no string',
    });
  }
  return { ...place, account, password };
}

/** The same with `token=<id>.<secret>` in place of an account. Throws `MESH_CONFIG_INVALID`. */
export function parseInvitation(text: string, where = 'invitation'): Invitation {
  const { account, password: _, token, meshId, ca, ...place } = parse(text, where);
  if (account !== undefined || token === undefined || meshId === undefined || ca === undefined) {
    const message = token === undefined ? 'this string invites nobody' : 'this invitation is not whole';
    throw new MeshError('MESH_CONFIG_INVALID', message, { where, mend: wholeInvitation });
  }
  return { ...place, meshId, ca, token };
}

/** Whether the string is meant for `parseInvitation`. */
export function isInvitation(text: string): boolean {
  return /[?&]token=/.test(text);
}

type Parts = MeshPlace & { account?: string; password?: string; token?: InvitationToken };

function parse(text: string, where: string): Parts {
  const parts = pattern.exec(text.trim());
  if (parts === null) throw noConnection(where);
  const [, account, password, hosts, mesh, options = ''] = parts;
  const chosen = optionsOf(options, where);
  const addresses = hosts!
    .split(',')
    .map((each) => addressOf(each, chosen.ca === undefined ? plainPort : tlsPort, where));
  if (addresses.length > limits.addressesPerConnection) {
    throw new MeshError('MESH_CONFIG_INVALID', `addressesPerConnection is ${limits.addressesPerConnection}`, { where });
  }
  const [first, ...others] = addresses;
  return {
    ...first!,
    ...(others.length === 0 ? {} : { others }),
    mesh: nameOf(mesh!, 'mesh', where),
    ...(account === undefined
      ? {}
      : { account: nameOf(account, 'account', where), password: decode(password!, where) }),
    ...chosen,
  };
}

function noConnection(where: string): MeshError {
  return new MeshError('MESH_CONFIG_INVALID', 'this is not a connection string', {
    where,
    mend: 'it looks like foremesh://<account>:<password>@<host>:<port>/<mesh>?id=<mesh id>; `foremesh init` prints one',
  });
}

function addressOf(text: string, defaultPort: number, where: string): Address {
  const [, host, port] = addressPattern.exec(text) ?? [];
  if (host === undefined) throw noConnection(where);
  const portNumber = port === undefined ? defaultPort : Number(port);
  if (portNumber < 1 || portNumber > 65_535) {
    throw new MeshError('MESH_CONFIG_INVALID', `${port} is not a port`, { where, mend: 'ports are 1 to 65535' });
  }
  return { host: host.replace(/^\[|\]$/g, ''), port: portNumber };
}

/** What follows the `?`: `id=<mesh id>`, `ca=<fingerprint>`, `token=<id>.<secret>`, `profile=lan`. */
function optionsOf(text: string, where: string): Pick<Parts, 'meshId' | 'ca' | 'token' | 'profile'> {
  const options: { meshId?: string; ca?: string; token?: InvitationToken; profile?: 'edge' | 'lan' } = {};
  for (const option of text === '' ? [] : text.split('&')) {
    const [, name, value = ''] = /^(\w+)=(.*)$/.exec(option) ?? [];
    const [, id, secret] = tokenPattern.exec(value) ?? [];
    if (name === 'id' && isPublicKey(value)) options.meshId = value;
    else if (name === 'ca' && isFingerprint(value)) options.ca = value;
    else if (name === 'token' && id !== undefined && secret !== undefined) options.token = { id, secret };
    else if (name === 'profile' && (value === 'lan' || value === 'edge')) options.profile = value;
    else {
      // A token is a secret: what is wrong with it is not shown.
      const shown = name === 'token' ? 'token' : option.slice(0, 60);
      throw new MeshError('MESH_CONFIG_INVALID', `"${shown}" is no option of a connection string`, {
        where,
        mend: name === 'token' ? wholeInvitation : wholeString,
      });
    }
  }
  return options;
}

/** A SHA-256 in base64url has the form of a key: 32 bytes. */
export function isFingerprint(text: string): boolean {
  return isPublicKey(text);
}

function nameOf(text: string, what: string, where: string): string {
  const name = decode(text, where);
  if (isIdentifier(name)) return name;
  const mend = `use 1 to ${limits.identifierCharacters} of A-Z a-z 0-9 _ -`;
  throw new MeshError('MESH_CONFIG_INVALID', `the ${what} of the connection string is not an identifier`, {
    where,
    mend,
  });
}

function decode(text: string, where: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new MeshError('MESH_CONFIG_INVALID', 'the connection string has a broken percent-encoding', {
      where,
      cause: error,
    });
  }
}

/** The id of the mesh, without which a node cannot tell its leader from whoever says so. Throws `MESH_CONFIG_INVALID`. */
export function meshIdOf({ meshId }: Pick<MeshPlace, 'meshId'>, where = 'connection string'): string {
  if (meshId !== undefined) return meshId;
  throw new MeshError('MESH_CONFIG_INVALID', 'a node needs the id of its mesh, and ?id= is not there', {
    where,
    mend: wholeString,
  });
}

export function formatConnection(connection: Connection): string {
  const { account, password } = connection;
  return format(connection, `${account}:${encodeURIComponent(password)}@`, {});
}

export function formatInvitation(invitation: Invitation): string {
  const { id, secret } = invitation.token;
  return format(invitation, '', { token: `${id}.${secret}` });
}

function format(place: MeshPlace, login: string, more: Readonly<Record<string, string>>): string {
  const { mesh, meshId: id, ca, profile } = place;
  const options = Object.entries({ id, ca, ...more, profile }).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
  const query = options.length === 0 ? '' : `?${options.join('&')}`;
  return `foremesh://${login}${addressesOf(place).map(addressText).join(',')}/${mesh}${query}`;
}

/** All of them, in the order in which they stand in the string. */
export function addressesOf({ host, port, others = [] }: MeshPlace): readonly Address[] {
  return [{ host, port }, ...others];
}

/** Whether the host is this very machine: what goes there passes no network. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d+){3}$/.test(host);
}

/** `host:port`; an IPv6 address stands in brackets where a port follows. */
export function addressText({ host, port }: Address): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** The same without the password: for logs and pages. */
export function describeConnection(place: MeshPlace & Partial<Pick<Connection, 'account'>>): string {
  return `${place.account === undefined ? '' : `${place.account}@`}${addressText(place)}/${place.mesh}`;
}

export function brokerUrl(place: MeshPlace): string {
  return `${place.ca === undefined ? 'mqtt' : 'mqtts'}://${addressText(place)}`;
}
