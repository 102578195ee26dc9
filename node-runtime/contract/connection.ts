import { MeshError } from './errors.ts';
import { limits } from './limits.ts';
import { isPublicKey } from './seal.ts';
import { isIdentifier } from './topics.ts';

/** All that a client or a node needs to reach its mesh. */
export interface Connection {
  readonly host: string;
  readonly port: number;
  readonly mesh: string;
  /** The founder's public key: of all that call themselves by the mesh's name, which one is meant. Nodes need it. */
  readonly meshId?: string;
  readonly account: string;
  readonly password: string;
  /** How fast its voters notice that their leader is gone: `edge` (patient) unless founded otherwise. */
  readonly profile?: 'edge' | 'lan';
}

const pattern =
  /^foremesh:\/\/([^:@/]+):([^:@/]+)@(\[[0-9A-Fa-f:.]+\]|[^\s:@/[\]?#]+)(?::(\d{1,5}))?\/([^/?#]+)(?:\?([^#]*))?$/;
const defaultPort = 1883;
const wholeString = 'take the whole connection string that `foremesh init` printed';

/** `foremesh://<account>:<password>@<host>[:<port>]/<mesh>[?id=<mesh id>&profile=lan]`, percent-encoded. Throws `MESH_CONFIG_INVALID`. */
export function parseConnection(text: string, where = 'connection string'): Connection {
  const parts = pattern.exec(text.trim());
  if (parts === null) {
    throw new MeshError('MESH_CONFIG_INVALID', 'this is not a connection string', {
      where,
      mend: 'it looks like foremesh://<account>:<password>@<host>:<port>/<mesh>?id=<mesh id>; `foremesh init` prints one',
    });
  }
  const [, account, password, host, port, mesh, options = ''] = parts;
  const portNumber = port === undefined ? defaultPort : Number(port);
  if (portNumber < 1 || portNumber > 65_535) {
    throw new MeshError('MESH_CONFIG_INVALID', `${port} is not a port`, { where, mend: 'ports are 1 to 65535' });
  }
  return {
    host: host!.replace(/^\[|\]$/g, ''),
    port: portNumber,
    mesh: nameOf(mesh!, 'mesh', where),
    account: nameOf(account!, 'account', where),
    password: decode(password!, where),
    ...optionsOf(options, where),
  };
}

/** What follows the `?`: `id=<mesh id>`, `profile=lan`. */
function optionsOf(text: string, where: string): Pick<Connection, 'meshId' | 'profile'> {
  const options: { meshId?: string; profile?: 'edge' | 'lan' } = {};
  for (const option of text === '' ? [] : text.split('&')) {
    const [, name, value = ''] = /^(\w+)=(.*)$/.exec(option) ?? [];
    if (name === 'id' && isPublicKey(value)) options.meshId = value;
    else if (name === 'profile' && (value === 'lan' || value === 'edge')) options.profile = value;
    else {
      throw new MeshError('MESH_CONFIG_INVALID', `"${option.slice(0, 60)}" is no option of a connection string`, {
        where,
        mend: wholeString,
      });
    }
  }
  return options;
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
export function meshIdOf(connection: Connection, where = 'connection string'): string {
  if (connection.meshId !== undefined) return connection.meshId;
  throw new MeshError('MESH_CONFIG_INVALID', 'a node needs the id of its mesh, and ?id= is not there', {
    where,
    mend: wholeString,
  });
}

export function formatConnection({ host, port, mesh, meshId, account, password, profile }: Connection): string {
  const options = [
    ...(meshId === undefined ? [] : [`id=${meshId}`]),
    ...(profile === undefined ? [] : [`profile=${profile}`]),
  ];
  const query = options.length === 0 ? '' : `?${options.join('&')}`;
  return `foremesh://${account}:${encodeURIComponent(password)}@${bracketed(host)}:${port}/${mesh}${query}`;
}

/** The same without the password: for logs and pages. */
export function describeConnection({ host, port, mesh, account }: Connection): string {
  return `${account}@${bracketed(host)}:${port}/${mesh}`;
}

export function brokerUrl({ host, port }: Connection): string {
  return `mqtt://${bracketed(host)}:${port}`;
}

/** An IPv6 address stands in brackets where a port follows. */
function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
