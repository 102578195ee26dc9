import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { SeriesRange } from '@foremesh/models';
import { type HistoryMetric, type HistoryResolution, isIdentifier, MeshError } from '../../contract/index.ts';
import type { HistorySample } from '../../sdk/index.ts';
import type { Session } from '../context.ts';
import { onGrid, readSeries, type Series } from './read-series.ts';

export interface SeriesChoice {
  readonly column?: string;
  readonly interval?: number;
  readonly metric?: HistoryMetric;
  readonly resolution?: HistoryResolution;
}

export interface FoundSeries {
  readonly series: Series;
  /** What values it can have, unless the command line says so. */
  readonly range: SeriesRange;
  /** Where that is not certain: why it is assumed, as the end of a sentence. */
  readonly because?: string;
  /** How to get more values. */
  readonly more: string;
}

/** What a node is asked for when nobody says. */
export const usual = { metric: 'cpuBackgroundShare', resolution: '1m' } as const;

const historyMs = 31 * 86_400_000;
const mend = 'name a CSV file, or a node: `foremesh nodes` lists them';

/**
 * A file of that name, else a node, which no directory of its name hides. Throws `MESH_SERIES_INVALID` for what cannot be read and `MESH_USAGE` for options that
 * would do nothing; what asking a node throws.
 */
export async function findSeries(session: Session, what: string, choice: SeriesChoice): Promise<FoundSeries> {
  if (what.trim() === '') throw new MeshError('MESH_USAGE', 'it is not said what to look at', { mend });
  const file = resolve(session.io.directory, what);
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    const isMissing = error.code === 'ENOENT';
    if ((isMissing || error.code === 'EISDIR') && isIdentifier(what)) return undefined;
    const message = isMissing ? 'there is no such file' : `it cannot be read: ${error.message}`;
    throw new MeshError('MESH_SERIES_INVALID', message, { where: what, mend });
  });
  return text === undefined ? ofNode(session, what, choice) : ofFile(text, what, choice);
}

function idle(option: string, of: string, what: string, is: string): MeshError {
  return new MeshError('MESH_USAGE', `${option} is for ${of}, and ${what} is ${is}`, { mend: `leave ${option} out` });
}

function ofFile(text: string, what: string, { column, interval, metric, resolution }: SeriesChoice): FoundSeries {
  if (metric !== undefined) throw idle('--metric', 'a node', what, 'a file');
  if (resolution !== undefined) throw idle('--resolution', 'a node', what, 'a file');
  const series = readSeries(text, {
    file: what,
    ...(column === undefined ? {} : { column }),
    ...(interval === undefined ? {} : { intervalMs: interval }),
  });
  return { series, ...assumed(series, what), more: 'give it a longer series' };
}

/** Shares have two ends, and a name that tells them: it makes a difference to the engine, which takes what has no upper end for a network. */
const shareName = /cpu|memory|share|percent|util|%/i;

function assumed({ name, values }: Series, file: string): Pick<FoundSeries, 'range' | 'because'> {
  let [least, most] = [0, 0];
  for (const value of values) {
    least = Math.min(least, Number.isNaN(value) ? 0 : value);
    most = Math.max(most, Number.isNaN(value) ? 0 : value);
  }
  const [low, high] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  if (least < 0) return { range: { low, high }, because: ', since values are below 0' };
  const [called] = shareName.exec(name) ?? shareName.exec(file) ?? [];
  if (called !== undefined && most <= 100)
    return { range: { low: 0, high: most <= 1 ? 1 : 100 }, because: ` by the name "${called}" and its values` };
  return { range: { low: 0, high }, because: ', as for a network (CPU and memory have an upper end)' };
}

async function ofNode(
  session: Session,
  node: string,
  { column, interval, metric = usual.metric, resolution = usual.resolution }: SeriesChoice,
): Promise<FoundSeries> {
  if (column !== undefined) throw idle('--column', 'a file', node, 'a node');
  const isMemory = metric === 'memoryAvailableBytes' || metric === 'memoryMeshBytes';
  const { history, memoryBytes } = await session.withMesh(async (client) => {
    const history = await client.history(node, { resolution, sinceMs: historyMs });
    const rows = isMemory ? (await client.nodes()).rows : [];
    return { history, memoryBytes: rows.find(({ status }) => status.node === node)?.status.memoryBytes };
  });
  const { samples, intervalMs } = history;
  const read = samples.map((sample, line) => ({ line, value: sample[metric] ?? Number.NaN, timeMs: -sample.ageMs }));
  const more = resolution === '5s' ? 'ask later' : '--resolution 5s has more of the last hour';
  const fault = (_: number, message: string, mend?: string) =>
    new MeshError('MESH_SERIES_INVALID', message, {
      where: `the history of ${node}`,
      ...(mend === undefined ? {} : { mend }),
    });
  if (read.length === 0) throw fault(0, 'nothing has been measured yet', more);
  return {
    series: { name: metric, ...onGrid(read, interval ?? intervalMs, fault) },
    ...rangeOfMetric(metric, samples, memoryBytes),
    more,
  };
}

/** As the leader has it: shares of a core and of the node's memory have two ends, the network has none above. */
function rangeOfMetric(
  metric: HistoryMetric,
  samples: readonly HistorySample[],
  memoryBytes: number | undefined,
): Pick<FoundSeries, 'range' | 'because'> {
  switch (metric) {
    case 'cpuShare':
    case 'cpuShareMost':
    case 'cpuBackgroundShare':
    case 'cpuBackgroundShareMost':
    case 'isThrottled':
      return { range: { low: 0, high: 1 } };
    case 'memoryAvailableBytes':
    case 'memoryMeshBytes':
      return memoryBytes === undefined
        ? {
            range: { low: 0, high: Number.POSITIVE_INFINITY },
            because: ', since the leader does not say how much memory the node has',
          }
        : { range: { low: 0, high: memoryBytes } };
    case 'diskFreeBytes':
    case 'diskTotalBytes': {
      const total = samples.reduce((most, { diskTotalBytes = 0 }) => Math.max(most, diskTotalBytes), 0);
      return { range: { low: 0, high: total > 0 ? total : Number.POSITIVE_INFINITY } };
    }
    case 'networkReceivedBytesPerSecond':
    case 'networkSentBytesPerSecond':
      return { range: { low: 0, high: Number.POSITIVE_INFINITY } };
    case 'temperatureCelsius':
      return { range: { low: -200, high: Number.POSITIVE_INFINITY } };
  }
}
