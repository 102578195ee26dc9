import { asMeshError, MeshError, type NodeRow } from '../contract/index.ts';
import type { MeshClient, Rows } from '../sdk/index.ts';
import type { Session } from './context.ts';
import { untilInterrupted } from './follow.ts';
import { Live } from './live.ts';
import { type Paint, plain } from './style.ts';
import { bytesText, durationText, percentText, plural, printable, widthOf } from './text.ts';

const barCells = { least: 3, most: 16 };
/** What a line has beside its two bars. */
const textCells = 62;
const nameCells = 16;
/** A screen has no more. */
const nodesShownMost = 40;
/** Samples come every five seconds: what is older is not what is there now. */
const staleMs = 15_000;

/** Shows all nodes, again and again, until ^C, which throws `ExitWith`. While nobody answers it says so, and goes on. */
export async function watchNodes(session: Session, client: MeshClient, everyMs: number): Promise<void> {
  const live = new Live(session.io.stdout);
  const told = new Map<string, string>();
  let rows: readonly NodeRow[] = [];
  try {
    await untilInterrupted(session, async (signal) => {
      while (!signal.aborted) {
        const answer = await client.nodes().catch((error: unknown) => asMeshError(error, 'MESH_UNREACHABLE'));
        if (signal.aborted) return;
        const trouble = answer instanceof MeshError ? answer : undefined;
        if (!(answer instanceof MeshError)) rows = [...answer.rows].sort(byName);
        if (session.json) session.printJson(jsonOf(answer));
        else if (!session.io.stdout.isTTY) tellChanges(session, rows, trouble?.message, told);
        else {
          const lines = (columns: number) => screenOf(rows, trouble?.message, columns, session.paintOut);
          live.show({ lines, plain: () => '' });
        }
        await pause(everyMs, signal);
      }
    });
  } finally {
    live.keep();
  }
}

function byName(a: NodeRow, b: NodeRow): number {
  return a.status.node < b.status.node ? -1 : 1;
}

function jsonOf(answer: Rows<NodeRow> | MeshError): object {
  if (!(answer instanceof MeshError)) return { nodes: answer.rows, truncated: answer.truncated };
  const { code, message, mend } = answer;
  return { error: { code, message, mend } };
}

/** Where there is no terminal: a line for each node whose state or work is another than it was. */
function tellChanges(
  session: Session,
  rows: readonly NodeRow[],
  trouble: string | undefined,
  told: Map<string, string>,
): void {
  const say = (key: string, state: string, line: string) => {
    if (told.get(key) !== state && line !== '') session.print(line);
    told.set(key, state);
  };
  say('', trouble ?? '', trouble ?? '');
  for (const row of rows) {
    const { status, running, leads } = row;
    say(status.node, `${status.online} ${running}/${status.slots} ${leads}`, lineOf(row, plain, barCells.most));
  }
}

export function screenOf(
  rows: readonly NodeRow[],
  trouble: string | undefined,
  columns: number,
  paint: Paint,
): string[] {
  const room = Math.floor((columns - textCells) / 2);
  const cells = Math.min(barCells.most, Math.max(barCells.least, room));
  const shown = rows.slice(0, nodesShownMost).map((row) => lineOf(row, paint, cells));
  const fitting = shown.map((line) => (widthOf(line) <= columns ? line : bare(line).slice(0, columns)));
  if (rows.length > shown.length) fitting.push(`and ${plural(rows.length - shown.length, 'node')} more`);
  if (rows.length === 0 && trouble === undefined) fitting.push('the mesh has no nodes: foremesh node starts one');
  fitting.push(paint('dim', '█ mesh  ▒ own work  · free    ^C ends'));
  if (trouble !== undefined) fitting.push(paint('bad', printable(trouble)));
  return fitting;
}

/** `pi-3 *  CPU ███▒▒···· 62 %  memory ██▒▒···· 1.2 GB free  runs 1/2`. */
function lineOf({ status, latest, running, leads, silentMs }: NodeRow, paint: Paint, cells: number): string {
  const name = `${status.node}${leads ? ' *' : ''}`.padEnd(nameCells);
  if (!status.online) return `${name}  ${paint('bad', `away for ${durationText(silentMs)}`)}`;
  const runs = `runs ${running}/${status.slots}`;
  if (latest === undefined) return `${name}  ${paint('dim', 'nothing measured yet')}  ${runs}`;
  const { cpuShare, cpuBackgroundShare, memoryAvailableBytes, memoryMeshBytes } = latest;
  const used = 1 - memoryAvailableBytes / status.memoryBytes;
  const mesh = Math.min(used, memoryMeshBytes / status.memoryBytes);
  const parts = [
    `CPU ${stackedBar(cpuShare - cpuBackgroundShare, cpuBackgroundShare, cells)} ${percentText(cpuShare).padStart(5)}`,
    `memory ${stackedBar(mesh, used - mesh, cells)} ${bytesText(memoryAvailableBytes).padStart(7)} free`,
    runs,
  ];
  const age = silentMs + latest.ageMs;
  if (age > staleMs) parts.push(paint('dim', `${durationText(age)} ago`));
  return `${name}  ${parts.join('  ')}`;
}

/** What the mesh takes, behind it what the device takes for itself, and what is free. */
export function stackedBar(mesh: number, own: number, cells: number): string {
  const clamp = (share: number) => Math.min(1, Math.max(0, share));
  const taken = Math.round(clamp(clamp(mesh) + clamp(own)) * cells);
  const ours = Math.min(taken, Math.round(clamp(mesh) * cells));
  return '█'.repeat(ours) + '▒'.repeat(taken - ours) + '·'.repeat(cells - taken);
}

function bare(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
  return line.replace(/\u001b\[[0-9;]*m/g, '');
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}
