import { type Command, Option } from 'commander';
import { bytesOf, type ForecastResource, forecastResource, MeshError, type NodeRow } from '../../contract/index.ts';
import { saveFile } from '../../data/local-files.ts';
import type { Forecast, MeshClient } from '../../sdk/index.ts';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { chartOf, legend, scoreLegend } from '../forecast/chart.ts';
import { svgOf } from '../forecast/svg.ts';
import { leavingText, viewsOf } from '../forecast/view.ts';
import { durationText, nearest, plural } from '../text.ts';

const examples = `
The node that leads forecasts once a minute what every other will have to spare: of its cores and its memory what the owner
allows, less what the device itself will need, less what is promised to tasks; of the network what the device itself will
take. A forecast is a band: nine times in ten there is at least the lower edge, once in ten more than the upper.

Examples:
  foremesh forecast pi-3                        the past hour and the next half
  foremesh forecast pi-3 --resource cpu
  foremesh forecast pi-3 --svg pi-3.svg         the same as a picture
  foremesh forecast pi-3 --json | jq '.resources[] | select(.resource == "cpu") | .available.q10'
`;

const pastMs = 3_600_000;

interface Options {
  readonly resource?: ForecastResource;
  readonly svg?: string;
}

export const forecastCommand: CommandModule = {
  name: 'forecast',
  summary: 'show what a node will have to spare: CPU, memory, network',
  arguments: [['<node>', 'which node']],
  register(command: Command, context: CommandContext) {
    command
      .addOption(new Option('--resource <which>', 'this one alone').choices(forecastResource.options))
      .option('--svg <file>', 'draw it into this file')
      .addHelpText('after', examples)
      .action((node: string, options: Options) => forecast(new Session(command, context), node, options));
  },
};

async function forecast(session: Session, node: string, { resource, svg }: Options): Promise<void> {
  await session.withMesh(async (client) => {
    const found = await client.forecast(node);
    if (found === undefined) throw await whyNone(client, node);
    const wanted = resource === undefined ? forecastResource.options : [resource];
    const resources = found.resources.filter((each) => wanted.includes(each.resource));
    if (svg === undefined && session.json) return session.printJson({ ...found, resources });
    const history = await historyOf(session, client, node);
    const views = viewsOf(found, history, wanted);
    const heading = headingOf(found);
    const leaving = leavingText(found);
    // What there is fills the picture, also on the first day.
    const shownMs = Math.max(found.intervalMs, Math.min(pastMs, history.samples[0]?.ageMs ?? 0));
    if (svg !== undefined) {
      await saveFile(once(svgOf(heading, views, shownMs, leaving)), svg);
      if (session.json) return session.printJson({ ...found, resources, svg });
      return session.tell(`${svg}: ${plural(views.length, 'chart')}`);
    }
    const columns = session.io.stdout.columns;
    session.print(heading, ...(leaving === undefined ? [] : [leaving]), '');
    for (const view of views) session.print(...chartOf(view, shownMs, history.intervalMs, columns), '');
    session.print(session.paintOut('dim', legend));
    if (views.some(({ scored }) => scored !== undefined)) session.print(session.paintOut('dim', scoreLegend));
  });
}

function headingOf(forecast: Forecast): string {
  const { node, leader, ageMs, awayMs, observedSteps, intervalMs, steps } = forecast;
  // A leader that has never heard it knows of its last forecast alone.
  const most = awayMs === ageMs ? ' at most' : '';
  const away = awayMs === undefined ? '' : `away for ${durationText(awayMs)}${most}; `;
  const isOver = ageMs > steps * intervalMs ? ', and is over' : '';
  const past = durationText(observedSteps * intervalMs);
  return `${node}: ${away}as ${leader} foresaw it ${durationText(ageMs)} ago${isOver}, from ${past} of its past${heldText(forecast)}`;
}

/** What its owner keeps it from now, and what changes that next, as far as it was foreseen. */
function heldText({ ageMs, withheld, ahead = [] }: Forecast): string {
  const last = ahead.findLast(({ afterMs }) => afterMs <= ageMs);
  const now = last === undefined ? withheld : last.withheld;
  const next = ahead.find(({ afterMs }) => afterMs > ageMs);
  const then = next && `; in ${durationText(next.afterMs - ageMs)}: ${next.withheld?.text ?? 'takes work'}`;
  return `${now === undefined ? '' : `; now: ${now.text}`}${then ?? ''}`;
}

/** Its own past is beside the point when it cannot be had: the node may be away. */
async function historyOf(session: Session, client: MeshClient, node: string): ReturnType<MeshClient['history']> {
  try {
    return await client.history(node, { resolution: '1m', sinceMs: pastMs });
  } catch (error) {
    if (!(error instanceof MeshError)) throw error;
    session.tell(`its past hour is not shown: ${error.message}`);
    return { samples: [], intervalMs: 60_000, diskBytesMost: 0, writtenBytes: 0 };
  }
}

/** There is no such node, or it is too early, or it is not there. */
async function whyNone(client: MeshClient, node: string): Promise<MeshError> {
  const { rows } = await client.nodes();
  const row = rows.find(({ status }) => status.node === node);
  if (row === undefined) {
    const meant = nearest(
      node,
      rows.map(({ status }) => status.node),
    );
    const mend = '`foremesh nodes` lists them';
    return new MeshError('MESH_NODE_UNKNOWN', `the leader knows no node "${node}"`, {
      mend: meant === undefined ? mend : `did you mean "${meant}"? ${mend}`,
    });
  }
  if (!row.status.online)
    return new MeshError('MESH_NODE_AWAY', `${node} is away, and nothing was forecast of it before`, {
      mend: 'start it: `foremesh node`',
    });
  const [why, mend] = earlyTexts(row.unforeseen ?? { heardMs: 0, dueMs: 0 });
  return new MeshError('MESH_FORECAST_EARLY', `nothing is forecast of ${node} yet: ${why}`, { mend });
}

function earlyTexts({ heardMs, dueMs, past }: NonNullable<NodeRow['unforeseen']>): [why: string, mend: string] {
  if (past === undefined)
    return [
      `the leader has heard of it for ${durationText(heardMs)}`,
      `ask again in ${durationText(dueMs + sampleMs)}, when its first minute has been measured`,
    ];
  const { learnedSteps, steps } = past;
  const why =
    steps === 0
      ? 'the leader waits for what it remembers of its past'
      : `the leader learns its past, and knows ${learnedSteps.toLocaleString('en')} of ${plural(steps, 'step')}`;
  return [why, `ask again in ${durationText(dueMs + roundMs)}`];
}

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield bytesOf(text);
}

/** What is learned is forecast in the leader's next round. */
const roundMs = 1_000;
/** A minute is over once a sample of the next one has come. */
const sampleMs = 10_000;
