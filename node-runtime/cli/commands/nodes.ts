import { type Command, InvalidArgumentError } from 'commander';
import { checkIdentifier, MeshError, type NodeRow } from '../../contract/index.ts';
import type { MeshClient } from '../../sdk/index.ts';
import { addGlobalOptions, type CommandContext, type CommandModule, Session } from '../context.ts';
import { parseDuration } from '../durations.ts';
import { loadOptional } from '../extensions.ts';
import { type Column, renderTable } from '../table.ts';
import { bytesText, durationText, percentText, plural } from '../text.ts';
import { watchNodes } from '../watch-nodes.ts';

const everyLeastMs = 500;
const everyMostMs = 3_600_000;

const examples = `
Examples:
  foremesh nodes
  foremesh nodes --watch                     bars, drawn over again every two seconds
  foremesh nodes --watch --json --every 10s | jq -c '[.nodes[].latest.cpuShare]'
  foremesh nodes remove pi-4                 for good: its certificate counts no longer
  foremesh nodes --json | jq '.nodes[] | select(.status.online) | .status.node'
`;

export const nodesCommand: CommandModule = {
  name: 'nodes',
  summary: 'list the nodes of the mesh: what they offer and what they do',
  register(command: Command, context: CommandContext) {
    command
      .option('--watch', 'go on until ^C: bars of CPU and memory, and what runs')
      .option('--every <time>', 'with --watch: how often to look', parseEvery, 2_000)
      .addHelpText('after', examples)
      .action((options: { watch?: boolean; every: number }) => {
        const session = new Session(command, context);
        return options.watch
          ? session.withMesh((mesh) => watchNodes(session, mesh, options.every))
          : listNodes(session);
      });
    const remove = command
      .command('remove')
      .summary('take a node out of the mesh, for good')
      .description('take a node out of the mesh, for good; run it on the hub, which has the CA')
      .argument('<node>', 'its id')
      .option('--force', 'refuse its certificate before anything else, even if the mesh cannot do without its vote')
      .action((node: string, { force }: { force?: boolean }) =>
        removeNode(node, force === true, new Session(remove, context)),
      );
    addGlobalOptions(remove);
  },
};

function parseEvery(text: string): number {
  const ms = parseDuration(text);
  if (ms < everyLeastMs || ms > everyMostMs) throw new InvalidArgumentError('it is 500ms to 1h.');
  return ms;
}

async function listNodes(session: Session): Promise<void> {
  await session.withMesh(async (client) => {
    const { rows, truncated } = await client.nodes();
    if (session.json) return session.printJson({ nodes: rows, truncated });
    if (rows.length === 0) return session.tell('the mesh has no nodes: foremesh node starts one');
    session.print(...renderTable([...rows].sort(byName), columns));
    if (truncated > 0) session.print(`and ${plural(truncated, 'node')} more`);
    session.print(...learningText(rows));
  });
}

/** After an election: until when there will be forecasts of all. */
function learningText(rows: readonly NodeRow[]): string[] {
  const early = rows.flatMap(({ status, unforeseen }) =>
    status.online && unforeseen?.past !== undefined ? [unforeseen.dueMs] : [],
  );
  if (early.length === 0) return [];
  const dueText = durationText(Math.max(...early));
  return [`the past of ${plural(early.length, 'node')} is being learned: forecasts of all in ${dueText} or so`];
}

/** What the broker's package has on the hub: whether a node has a certificate, and how that is refused. */
type OfMember = (home: string, node: string) => Promise<boolean>;

/**
 * The leader first: it takes a voter's seat before the node is gone, and says when that cannot be. Who may not wait for it (a
 * device was stolen) has its certificate refused at once, whatever becomes of the mesh.
 */
async function removeNode(node: string, isForced: boolean, session: Session): Promise<void> {
  checkIdentifier(node, 'node');
  const broker = await loadOptional('@foremesh/broker/commands');
  const home = session.home.directory;
  const isMember = (await (broker?.isMember as OfMember | undefined)?.(home, node)) ?? false;
  const revoke = async () => isMember && (await (broker!.removeMember as OfMember)(home, node));
  if (isForced) await revoke();
  await session.withMesh(async (client) => {
    if (!isMember) await refuseElsewhere(client, node);
    await client.removeNode(node).catch((error: unknown) => {
      // It was invited and has never been there.
      if (!(isMember && error instanceof MeshError && error.code === 'MESH_NODE_UNKNOWN')) throw error;
    });
  });
  const isRevoked = await revoke();
  if (session.json) return session.printJson({ node, removed: true, isRevoked });
  const certificate = isRevoked ? '; its certificate counts no longer' : '';
  session.print(`${node} is out of the mesh${certificate}`);
}

/** The certificate of a node that has joined can be refused by the hub alone. */
async function refuseElsewhere(client: MeshClient, node: string): Promise<void> {
  const { rows, truncated } = await client.nodes();
  const row = rows.find(({ status }) => status.node === node);
  const isSure = row === undefined ? truncated === 0 : row.status.admission.length <= 43;
  if (isSure) return;
  throw new MeshError('MESH_CONFIG_INVALID', `"${node}" has a certificate, which only its hub can refuse`, {
    mend: 'run this on the hub, as the user of the broker, with its --home',
  });
}

function byName(a: NodeRow, b: NodeRow): number {
  return a.status.node < b.status.node ? -1 : 1;
}

const columns: readonly Column<NodeRow>[] = [
  { title: 'NODE', cell: ({ status, leads }) => `${status.node}${leads ? ' *' : ''}` },
  {
    title: 'STATE',
    cell: ({ status, silentMs }) =>
      status.online ? (status.withheld?.reason ?? 'online') : `away ${durationText(silentMs)}`,
  },
  { title: 'RUNS', align: 'right', cell: ({ running, status }) => `${running}/${status.slots}` },
  { title: 'TASKS DONE', align: 'right', cell: ({ tasksDone }) => String(tasksDone) },
  { title: 'CPU', align: 'right', cell: ({ latest }) => (latest === undefined ? '' : percentText(latest.cpuShare)) },
  {
    title: 'OWN WORK',
    align: 'right',
    cell: ({ latest }) => (latest === undefined ? '' : percentText(latest.cpuBackgroundShare)),
  },
  {
    title: 'CORES',
    align: 'right',
    cell: ({ status }) => `${Number(status.cores.toFixed(2))} x ${percentText(status.share)}`,
  },
  { title: 'MEMORY', align: 'right', cell: ({ status }) => bytesText(status.offeredMemoryBytes) },
  {
    title: 'FREE',
    align: 'right',
    cell: ({ latest }) => (latest === undefined ? '' : bytesText(latest.memoryAvailableBytes)),
  },
  {
    title: 'SPEED',
    align: 'right',
    cell: ({ status }) => (status.speed.js === undefined ? '' : status.speed.js.toFixed(2)),
  },
  { title: 'ARCH', cell: ({ status }) => status.arch },
  { title: 'LABELS', cell: ({ status }) => status.labels.join(' ') },
];
