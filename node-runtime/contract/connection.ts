import { MeshError } from './errors.ts';
import { limits } from './limits.ts';
import { isIdentifier } from './topics.ts';

/** All that a client or a node needs to reach its mesh. */
export interface Connection {
  readonly host: string;
  readonly port: number;
  readonly mesh: string;
  readonly account: string;
  readonly password: string;
  /** How fast its voters notice that their leader is gone: `edge` (patient) unless founded otherwise. */
  readonly profile?: 'edge' | 'lan';
}

const pattern =
  /^foremesh:\/\/([^:@/]+):([^:@/]+)@(\[[0-9A-Fa-f:.]+\]|[^\s:@/[\]?#]+)(?::(\d{1,5}))?\/([^/?#]+)(?:\?([^#]*))?$/;
const defaultPort = 1883;

/** `foremesh://<account>:<password>@<host>[:<port>]/<mesh>`, percent-encoded. Throws `MESH_CONFIG_INVALID`. */
export function parseConnection(text: string, where = 'connection string'): Connection {
  const parts = pattern.exec(text.trim());
  if (parts === null) {
    throw new MeshError('MESH_CONFIG_INVALID', 'this is not a connection string', {
      where,
      mend: 'it looks like foremesh://<account>:<password>@<host>:<port>/<mesh>; `foremesh init` prints one',
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

/** What follows the `?`: `profile=lan`. */
function optionsOf(text: string, where: string): Pick<Connection, 'profile'> {
  let profile: Connection['profile'];
  for (const option of text === '' ? [] : text.split('&')) {
    if (option !== 'profile=lan' && option !== 'profile=edge') {
      throw new MeshError('MESH_CONFIG_INVALID', `"${option.slice(0, 40)}" is no option of a connection string`, {
        where,
        mend: 'take the whole connection string that `foremesh init` printed',
      });
    }
    profile = option === 'profile=lan' ? 'lan' : 'edge';
  }
  return profile === undefined ? {} : { profile };
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

export function formatConnection({ host, port, mesh, account, password, profile }: Connection): string {
  const options = profile === undefined ? '' : `?profile=${profile}`;
  return `foremesh://${account}:${encodeURIComponent(password)}@${bracketed(host)}:${port}/${mesh}${options}`;
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
