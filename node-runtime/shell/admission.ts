import { createHash, createHmac, hkdfSync, timingSafeEqual, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { admissionStatement, limits, MeshError, type MeshPlace, meshIdOf, type NodeStatus } from '../contract/index.ts';

/** The mesh, and the password of an account of it. */
export type AdmittingConnection = Partial<MeshPlace> & { readonly password: string };

/**
 * Shows that whoever enrols this key was given the connection string, without giving the password away. It proves no more:
 * everybody who has the string may enrol.
 */
export function admissionOf(connection: AdmittingConnection, node: string, publicKey: string): string {
  return codeOf(connection, node, publicKey).toString('base64url');
}

/** Whether the code is by somebody who knows the password of this very connection. */
export function isAdmitted(
  connection: AdmittingConnection,
  node: string,
  publicKey: string,
  admission: string,
): boolean {
  const wanted = codeOf(connection, node, publicKey);
  const found = Buffer.from(admission, 'base64url');
  return found.length === wanted.length && timingSafeEqual(found, wanted);
}

function codeOf(connection: AdmittingConnection, node: string, publicKey: string): Buffer {
  const meshId = meshIdOf(connection);
  const key = Buffer.from(hkdfSync('sha256', connection.password, meshId, 'foremesh admission v1', 32));
  return createHmac('sha256', key)
    .update(admissionStatement(meshId, node, publicKey))
    .digest();
}

/** What a node with a certificate (PEM) shows: the certificate itself, DER in base64url. */
export function certificateAdmission(certificate: string): string {
  return new X509Certificate(certificate).raw.toString('base64url');
}

export interface AdmissionVerdict {
  readonly admitted: boolean;
  /** What its certificate allows; of a node without one, what it says. */
  readonly mayLead: boolean;
}

export interface AdmitterOptions {
  readonly connection: MeshPlace & { readonly password?: string };
  /** The CA's certificate, PEM, once it is known. */
  readonly authority: () => string | undefined;
}

/** Tells who has been let in: by the connection string that this node has too, or by a certificate of the mesh's CA. */
export class Admitter {
  readonly #options: AdmitterOptions;
  #authority: X509Certificate | undefined;

  constructor(options: AdmitterOptions) {
    this.#options = options;
  }

  judge({ node, publicKey, admission, mayLead }: NodeStatus): AdmissionVerdict {
    const { connection } = this.#options;
    if (admission.length <= codeCharacters) {
      const { password } = connection;
      const admitted = password !== undefined && isAdmitted({ ...connection, password }, node, publicKey, admission);
      return { admitted, mayLead };
    }
    const certificate = this.#certified(admission);
    const fields = certificate?.subject.split('\n') ?? [];
    const isItsOwn =
      certificate !== undefined &&
      fields.includes(`CN=${node}`) &&
      certificate.publicKey.asymmetricKeyType === 'ed25519' &&
      certificate.publicKey.export({ format: 'jwk' }).x === publicKey;
    return {
      admitted: isItsOwn && Date.parse(certificate.validTo) > Date.now(),
      mayLead: mayLead && isItsOwn && fields.includes('OU=lead'),
    };
  }

  /** The certificate, when the mesh's CA has signed it. */
  #certified(admission: string): X509Certificate | undefined {
    this.#authority ??= this.#readAuthority();
    if (this.#authority === undefined || admission.length > limits.admissionCharacters) return undefined;
    try {
      const certificate = new X509Certificate(Buffer.from(admission, 'base64url'));
      return certificate.verify(this.#authority.publicKey) ? certificate : undefined;
    } catch {
      return undefined; // what does not parse is no certificate of ours
    }
  }

  #readAuthority(): X509Certificate | undefined {
    const text = this.#options.authority();
    if (text === undefined) return undefined;
    const authority = new X509Certificate(text);
    const { ca } = this.#options.connection;
    if (ca === undefined || createHash('sha256').update(authority.raw).digest('base64url') === ca) return authority;
    throw new MeshError('MESH_CA_MISMATCH', 'the CA in this home is not the one of the connection string', {
      mend: 'put ca.pem back from a backup, or take the connection string that belongs to it',
    });
  }
}

const codeCharacters = 43;

/** The CA of a home that has its broker; undefined in any other. */
export function authorityIn(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new MeshError('MESH_STORAGE_FAILED', (error as Error).message, { where: file, cause: error });
  }
}
