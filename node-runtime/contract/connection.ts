import { MeshError } from './errors.ts';
import { checkIdentifier } from './topics.ts';

/** All that a client or a node needs to reach its mesh. */
export interface Connection {
  readonly host: string;
  readonly port: number;
  readonly mesh: string;
  readonly account: string;
  readonly password: string;
}

const pattern = /^foremesh:\/\/([^:@/]+):([^:@/]+)@(\[[0-9A-Fa-f:.]+\]|[^:@/[\]]+)(?::(\d{1,5}))?\/([^/?#]+)$/;
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
  const [, account, password, host, port, mesh] = parts;
  return {
    host: host!.replace(/^\[|\]$/g, ''),
    port: port === undefined ? defaultPort : Number(port),
    mesh: checkIdentifier(decode(mesh!, where), 'mesh'),
    account: checkIdentifier(decode(account!, where), 'account'),
    password: decode(password!, where),
  };
}

function decode(text: string, where: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new MeshError('MESH_CONFIG_INVALID', 'the connection string has a broken percent-encoding', { where, cause: error });
  }
}

export function formatConnection({ host, port, mesh, account, password }: Connection): string {
  const bracketed = host.includes(':') ? `[${host}]` : host;
  return `foremesh://${account}:${encodeURIComponent(password)}@${bracketed}:${port}/${mesh}`;
}

/** The same without the password: for logs and pages. */
export function describeConnection({ host, port, mesh, account }: Connection): string {
  return `${account}@${host}:${port}/${mesh}`;
}

export function brokerUrl({ host, port }: Connection): string {
  return `mqtt://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
