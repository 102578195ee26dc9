import type { Command } from 'commander';
import { type Connection, MeshError, parseConnection } from '../contract/index.ts';
import type { MeshClient } from '../sdk/index.ts';
import { type Home, openHome, readConnection } from '../shell/home.ts';
import { readMembership } from '../shell/joining/membership.ts';
import type { Io } from './io.ts';
import { type Paint, paintFor } from './style.ts';

/** What a command is registered with. Commands of other packages use `home` alone. */
export interface CommandContext {
  /** The home unless the command's own `--home` says otherwise. */
  readonly home: string;
  readonly io: Io;
}

/** One command: registered on a commander `Command` that has its name and summary. */
export interface CommandModule {
  readonly name: string;
  readonly summary: string;
  /** Shown in the usage after the name, as commander has it: `<job>`. */
  readonly arguments?: readonly (readonly [name: string, what: string])[];
  register(command: Command, context: CommandContext): void;
}

/** `--home`, `--connection`, `--json` and `--no-color`, wherever they stood on the command line. */
export interface GlobalOptions {
  readonly home?: string;
  readonly connection?: string;
  readonly json?: boolean;
  readonly color?: boolean;
}

/** Adds the options that every command has. */
export function addGlobalOptions(command: Command): Command {
  return command
    .option('--home <directory>', 'where this machine keeps its mesh ($FOREMESH_HOME; ~/.foremesh)')
    .option('--connection <string>', 'the mesh to talk to ($FOREMESH_CONNECTION; the one of the home)')
    .option('--json', 'print JSON: one document, or one per line where things go on')
    .option('--no-color', 'no colours ($NO_COLOR)');
}

/** One run of one command: its options, resolved, and where it prints. */
export class Session {
  readonly io: Io;
  readonly json: boolean;
  readonly home: Home;
  readonly #connection: string | undefined;
  readonly #color: boolean;

  constructor(command: Command, { io, home }: CommandContext) {
    const options = command.optsWithGlobals<GlobalOptions>();
    this.io = io;
    this.json = options.json === true;
    this.home = openHome(options.home ?? home, io.environment);
    this.#connection = options.connection ?? io.environment.FOREMESH_CONNECTION;
    this.#color = command.opts<GlobalOptions>().color !== false && options.color !== false;
  }

  get paintOut(): Paint {
    return paintFor(this.io.stdout, this.io.environment, this.#color);
  }
  get paintErr(): Paint {
    return paintFor(this.io.stderr, this.io.environment, this.#color);
  }

  /** To stdout: what was asked for. */
  print(...lines: readonly string[]): void {
    for (const line of lines) this.io.stdout.write(`${line}\n`);
  }
  /** One JSON document, on one line. */
  printJson(value: unknown): void {
    this.io.stdout.write(`${JSON.stringify(value)}\n`);
  }
  /** To stderr: what a person wants to know beside it. Nothing with `--json`. */
  tell(...lines: readonly string[]): void {
    if (!this.json) for (const line of lines) this.io.stderr.write(`${line}\n`);
  }

  /** Whether an account is known here. */
  async hasConnection(): Promise<boolean> {
    return (this.#connection ?? '') !== '' || (await readConnection(this.home)) !== undefined;
  }

  /** `--connection`, `$FOREMESH_CONNECTION`, or the home's. */
  async connection(): Promise<Connection> {
    if (this.#connection !== undefined && this.#connection !== '') return parseConnection(this.#connection);
    const found = await readConnection(this.home);
    if (found !== undefined) return found;
    throw new MeshError('MESH_CONFIG_INVALID', 'no mesh is known here', {
      where: this.home.directory,
      mend: (await readMembership(this.home))
        ? 'this home is that of a node, which has no account: --connection STRING or $FOREMESH_CONNECTION names one'
        : '`foremesh init` founds one; --connection STRING or $FOREMESH_CONNECTION names one that exists',
    });
  }

  /** Connects, runs, and closes whatever happens. */
  async withMesh<T>(run: (client: MeshClient) => Promise<T>): Promise<T> {
    const connection = await this.connection();
    // Loaded here, so that `--help` and a wrong job file cost no MQTT.
    const { connectMesh } = await import('../sdk/index.ts');
    const client = await connectMesh(connection, { clientName: 'cli' });
    try {
      return await run(client);
    } finally {
      await client.close();
    }
  }
}
