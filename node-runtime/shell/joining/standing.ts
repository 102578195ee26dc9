import type { Logger } from 'pino';
import { type Connection, MeshError, type MeshEvent, type MeshPlace, type NodeStatus } from '../../contract/index.ts';
import { type AdmissionVerdict, Admitter, admissionOf, authorityIn, certificateAdmission } from '../admission.ts';
import type { Home, Identity } from '../home.ts';
import { brokerOf, type MqttConnectOptions } from '../mqtt-transport.ts';
import type { Membership } from './membership.ts';
import { MembershipKeeper } from './membership-keeper.ts';

/** Where the mesh is, and the account to log in with; a node that has joined logs in with its certificate. */
export type NodeConnection = MeshPlace & Partial<Pick<Connection, 'account' | 'password'>>;

export interface StandingOptions {
  readonly home: Home;
  readonly identity: Identity;
  readonly connection: NodeConnection;
  readonly membership: Membership | undefined;
  readonly log: Logger;
  readonly tell: (event: Omit<MeshEvent, 'v' | 'source'>) => void;
  readonly onOut: (error: MeshError) => void;
}

/** By what a node is let in, and by what it knows that others are. */
export class Standing {
  readonly #options: StandingOptions;
  readonly #admitter: Admitter;
  readonly #keeper: MembershipKeeper | undefined;
  /** The CA's certificate, once it is known. */
  #authority: string | undefined;

  constructor(options: StandingOptions) {
    const { home, connection, membership } = options;
    this.#options = options;
    this.#authority = membership?.authority;
    this.#admitter = new Admitter({ connection, authority: () => this.#authority ?? authorityIn(home.authorityFile) });
    this.#keeper = membership === undefined ? undefined : new MembershipKeeper({ ...options, membership });
  }

  /** What the node's status carries. Throws `MESH_CONFIG_INVALID` when nothing lets it in. */
  admission(): string {
    if (this.#keeper !== undefined) return certificateAdmission(this.#keeper.membership.certificate);
    const { connection, identity } = this.#options;
    const { password } = connection;
    if (password !== undefined) return admissionOf({ ...connection, password }, identity.node, identity.publicKey);
    throw new MeshError('MESH_CONFIG_INVALID', 'neither an account nor a certificate lets this node in', {
      mend: 'join the mesh: `foremesh join` with what `foremesh invite` printed on the hub',
    });
  }

  judge(status: NodeStatus): AdmissionVerdict {
    return this.#admitter.judge(status);
  }

  /** For a new connection: where to, and as whom. */
  login(): Omit<MqttConnectOptions, 'clientId' | 'will'> {
    const { connection } = this.#options;
    const { account: username, password } = connection;
    return {
      ...brokerOf(connection, this.#keeper?.own),
      onAuthority: (authority) => {
        this.#authority = authority;
      },
      ...(username === undefined || password === undefined ? {} : { username, password }),
    };
  }

  /** The broker did not let the node in. Of a certificate it can be asked why. */
  refused(error: MeshError): void {
    if (error.code === 'MESH_NOT_AUTHORIZED') this.#keeper?.inquire();
  }

  async close(): Promise<void> {
    await this.#keeper?.close();
  }
}
