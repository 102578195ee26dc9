import { type Command, Option } from 'commander';
import {
  type Address,
  type Connection,
  describeConnection,
  isIdentifier,
  isInvitation,
  limits,
  MeshError,
  parseConnection,
  parseInvitation,
} from '../../contract/index.ts';
import type { Membership } from '../../shell/joining/membership.ts';
import type { NodeConnection } from '../../shell/joining/standing.ts';
import { type PolicyName, policyNames } from '../../shell/node-options.ts';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { addPreferenceOptions, changeOf, type PreferenceOptions, parseShare } from '../preferences.ts';
import { foundByMdns } from '../text.ts';

interface NodeCommandOptions extends PreferenceOptions {
  readonly join?: string;
  readonly name?: string;
  readonly share?: number;
  readonly slots?: string;
  readonly labels?: string;
  readonly deviceScope?: string;
  readonly sensors?: string;
  readonly lead: boolean;
  readonly policy: PolicyName;
  readonly unsandboxed?: boolean;
  readonly journal?: string;
  readonly logLevel: string;
}

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

const help = `
Examples:
  $ foremesh join 'foremesh://...' && foremesh node  join with an invitation, and start
  $ foremesh node                                    start again: the home knows the mesh
  $ foremesh node --join 'foremesh://...'            both in one: an invitation, or the string of an account
  $ foremesh node --share 25% --labels camera,gpu    offer a quarter of the machine
  $ foremesh node --device-scope cpus:0-1            be two of the processors, and measure no others
  $ foremesh node --slots 1 --no-lead                one task at a time, never the leader
  $ foremesh node --policy reactive                  should it lead: by what is free now, and no forecast`;

/** `foremesh node`: the runtime of this device, in the foreground. */
export const nodeCommand: CommandModule = {
  name: 'node',
  summary: 'run the runtime of this device (joins with --join)',
  register(command, context) {
    addPreferenceOptions(command)
      .option('--join <string>', 'join first: what `foremesh invite` or `foremesh init` printed')
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
      .option(
        '--unsandboxed',
        'run trusted code of engine node without walls where the system has none (see docs/security.md)',
      )
      .option('--no-lead', 'never lead the mesh')
      .addOption(
        new Option('--policy <policy>', 'what it places tasks by, should it lead: forecasts, or what is measured now')
          .choices(policyNames)
          .default('predictive'),
      )
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
    policy: options.policy,
    unsandboxed: options.unsandboxed === true,
    ...(options.slots === undefined ? {} : { slots: slotsOf(options.slots) }),
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(options.sensors === undefined ? {} : { sensors: options.sensors }),
    ...(options.deviceScope === undefined ? {} : { deviceScope: options.deviceScope }),
    ...(options.journal === undefined ? {} : { journalDirectory: options.journal }),
  };
  const { connection, membership } = await accessOf(session, options);
  const [{ default: pino }, { startNode }, { writeConnection }, { keepHeapLean }] = await Promise.all([
    import('pino'),
    import('../../shell/node.ts'),
    import('../../shell/home.ts'),
    import('../../shell/lean-heap.ts'),
  ]);
  keepHeapLean();
  // Synchronous, so that the last words before an end are written.
  const log = pino({ level: options.logLevel, base: null }, pino.destination({ dest: 2, sync: true }));
  const running = await startNode({
    home: session.home,
    connection,
    ...(membership === undefined ? {} : { membership }),
    log,
    ...settings,
  });
  if (options.join !== undefined && membership === undefined)
    await writeConnection(session.home, connection as Connection);
  void running.online.then(() => {
    const { node: id, leads } = running;
    if (session.json) session.printJson({ ready: true, pid: process.pid, node: id, leads, mesh: connection.mesh });
    else session.print(`* ${id} is in mesh ${describeConnection(connection)}${leads ? ', leads' : ''}`);
  });
  const failure = await Promise.race([running.failed, signalled()]);
  await running.stop();
  if (failure !== undefined) throw failure;
}

/** By what this node is let in: what `--join` says, else what joining has left in the home, else an account. */
async function accessOf(
  session: Session,
  { join, name }: NodeCommandOptions,
): Promise<{ readonly connection: NodeConnection; readonly membership?: Membership }> {
  const { placeOf, readMembership } = await import('../../shell/joining/membership.ts');
  let membership: Membership | undefined;
  if (join === undefined) membership = await readMembership(session.home);
  else if (isInvitation(join)) {
    const { joinMesh } = await import('../../shell/joining/join.ts');
    const invitation = parseInvitation(join, '--join');
    const onFound = (places: readonly Address[]) => session.tell(foundByMdns(places));
    const who = { home: session.home, invitation, ...(name === undefined ? {} : { name }) };
    ({ membership } = await joinMesh({ ...who, onFound }));
  }
  if (membership !== undefined) return { connection: placeOf(membership), membership };
  return { connection: join === undefined ? await session.connection() : parseConnection(join, '--join') };
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
