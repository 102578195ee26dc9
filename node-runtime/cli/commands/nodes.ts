import type { Command } from 'commander';
import type { NodeRow } from '../../contract/index.ts';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { type Column, renderTable } from '../table.ts';
import { bytesText, durationText, percentText, plural } from '../text.ts';

const examples = `
Examples:
  foremesh nodes
  foremesh nodes --json | jq '.nodes[] | select(.status.online) | .status.node'
`;

export const nodesCommand: CommandModule = {
  name: 'nodes',
  summary: 'list the nodes of the mesh: what they offer and what they do',
  register(command: Command, context: CommandContext) {
    command.addHelpText('after', examples).action(() => listNodes(new Session(command, context)));
  },
};

async function listNodes(session: Session): Promise<void> {
  await session.withMesh(async (client) => {
    const { rows, truncated } = await client.nodes();
    if (session.json) return session.printJson({ nodes: rows, truncated });
    if (rows.length === 0) return session.tell('the mesh has no nodes: foremesh node starts one');
    session.print(...renderTable([...rows].sort(byName), columns));
    if (truncated > 0) session.print(`and ${plural(truncated, 'node')} more`);
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
