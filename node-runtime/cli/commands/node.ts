import type { Command } from 'commander';
import { describeConnection, isIdentifier, limits, MeshError, parseConnection } from '../../contract/index.ts';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { addPreferenceOptions, changeOf, type PreferenceOptions, parseShare } from '../preferences.ts';

interface NodeCommandOptions extends PreferenceOptions {
  readonly join?: string;
  readonly name?: string;
  readonly share?: number;
  readonly slots?: string;
  readonly labels?: string;
  readonly deviceScope?: string;
  readonly sensors?: string;
  readonly lead: boolean;
  readonly journal?: string;
  readonly logLevel: string;
}

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

const help = `
Examples:
  $ foremesh node --join 'foremesh://owner:...@192.168.1.10:1883/mesh-1a2b3c4d?id=...'    join, and stay
  $ foremesh node                                    start again: the home knows the mesh
  $ foremesh node --share 25% --labels camera,gpu    offer a quarter of the machine
  $ foremesh node --device-scope cpus:0-1            be two of the processors, and measure no others
  $ foremesh node --slots 1 --no-lead                one task at a time, never the leader`;

/** `foremesh node`: the runtime of this device, in the foreground. */
export const nodeCommand: CommandModule = {
  name: 'node',
  summary: 'run the runtime of this device (joins with --join)',
  register(command, context) {
    addPreferenceOptions(command)
      .option('--join <string>', 'the connection string that `foremesh init` printed; kept in the home')
      .option('--name <id>', 'id of this node (after the host), at the first start')
      .option(
        '--share <share>',
        'of the cores and memory for the mesh: 0.5 or 50% (half, unless `foremesh share` said)',
        parseShare,
      )
      .option('--slots <number>', 'tasks at once (one per core of the share)')
      .option('--labels <list>', 'what jobs can ask for, with commas')
      .option('--device-scope <scope>', 'be a part of the machine: cgroup:NAME or cpus:LIST')
      .option('--sensors <folder>', 'read temperature and battery below this folder, as Linux has them below /')
      .option('--no-lead', 'never lead the mesh')
      .option('--journal <folder>', 'record what this node decides from, should it vote; foremesh replay reads it')
      .option('--log-level <level>', levels.join(', '), 'info')
      .addHelpText('after', help)
      .action((options: NodeCommandOptions, self: Command) => runNode(options, self, context));
  },
};

async function runNode(options: NodeCommandOptions, command: Command, context: CommandContext): Promise<void> {
  const session = new Session(command, context);
  if (!levels.includes(options.logLevel)) {
    throw new MeshError('MESH_USAGE', `--log-level "${options.logLevel}" is unknown`, {
      mend: `use one of ${levels.join(', ')}`,
    });
  }
  const settings = {
    preferences: { ...changeOf(options), ...(options.share === undefined ? {} : { share: options.share }) },
    labels: labelsOf(options.labels),
    mayLead: options.lead,
    ...(options.slots === undefined ? {} : { slots: slotsOf(options.slots) }),
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(options.sensors === undefined ? {} : { sensors: options.sensors }),
    ...(options.deviceScope === undefined ? {} : { deviceScope: options.deviceScope }),
    ...(options.journal === undefined ? {} : { journalDirectory: options.journal }),
  };
  const connection = options.join === undefined ? await session.connection() : parseConnection(options.join, '--join');
  const [{ default: pino }, { startNode }, { writeConnection }] = await Promise.all([
    import('pino'),
    import('../../shell/node.ts'),
    import('../../shell/home.ts'),
  ]);
  // Synchronous, so that the last words before an end are written.
  const log = pino({ level: options.logLevel, base: null }, pino.destination({ dest: 2, sync: true }));
  const running = await startNode({ home: session.home, connection, log, ...settings });
  if (options.join !== undefined) await writeConnection(session.home, connection);
  void running.online.then(() => {
    const { node: id, leads } = running;
    if (session.json) session.printJson({ ready: true, pid: process.pid, node: id, leads, mesh: connection.mesh });
    else session.print(`* ${id} is in mesh ${describeConnection(connection)}${leads ? ', leads' : ''}`);
  });
  const failure = await Promise.race([running.failed, signalled()]);
  await running.stop();
  if (failure !== undefined) throw failure;
}

function signalled(): Promise<undefined> {
  return new Promise((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve(undefined));
  });
}

function slotsOf(text: string): number {
  const slots = Number(text);
  if (!Number.isInteger(slots) || slots < 0 || slots > limits.slotsPerNode) {
    throw new MeshError('MESH_USAGE', `--slots "${text}" is wrong`, {
      mend: `give a whole number from 0 to ${limits.slotsPerNode}`,
    });
  }
  return slots;
}

function labelsOf(text: string | undefined): string[] {
  const labels = (text ?? '').split(',').map((label) => label.trim());
  const given = labels.filter((label) => label !== '');
  const wrong = given.find((label) => !isIdentifier(label));
  if (wrong !== undefined) {
    throw new MeshError('MESH_USAGE', `label "${wrong}" is not an identifier`, {
      mend: 'use A-Z a-z 0-9 _ -, with commas between labels',
    });
  }
  if (given.length > limits.labelsPerNode)
    throw new MeshError('MESH_USAGE', `labelsPerNode is ${limits.labelsPerNode}, found ${given.length}`);
  return given;
}
