import type { ForecastBands, ForecastResource, ForecastWhy } from '../../contract/index.ts';
import type { Forecast, History, HistorySample } from '../../sdk/index.ts';
import type { Dot } from '../plot.ts';
import { bytesText, durationText, percentText, plural } from '../text.ts';

/** One step of the future, by how long from now; one that is under way began in the past. */
export interface Step {
  readonly fromMs: number;
  readonly q10: number;
  readonly q50: number;
  readonly q90: number;
}

/** What there is to draw of one series: the past as it was measured, the future as it is expected. */
export interface SeriesView {
  readonly title: string;
  /** The top of the chart. */
  readonly top: number;
  readonly text: (value: number) => string;
  readonly past: readonly Dot[];
  readonly future: readonly Step[];
  readonly stepMs: number;
  readonly why?: ForecastWhy;
  /** What its model weighs, and how it has scored against which others. */
  readonly scored?: string;
}

export interface ResourceView extends SeriesView {
  readonly resource: ForecastResource;
}

const rate = (bytesPerSecond: number) => `${bytesText(bytesPerSecond)}/s`;
const kinds: Readonly<Record<ForecastResource, Pick<ResourceView, 'title' | 'text'>>> = {
  cpu: { title: 'CPU for the mesh', text: percentText },
  memory: { title: 'memory for the mesh', text: bytesText },
  'network-in': { title: 'received', text: rate },
  'network-out': { title: 'sent', text: rate },
};

/** How likely the node, there now, leaves before the forecast ends; undefined where that is not known, or over. */
export function leavingText({ left, intervalMs, steps, ageMs }: Forecast): string | undefined {
  const restMs = steps * intervalMs - ageMs;
  const atEnd = left?.at(-1);
  if (atEnd === undefined || restMs <= 0) return undefined;
  const byNow = left?.[Math.floor(ageMs / intervalMs) - 1] ?? 0;
  const leaves = byNow >= 1 ? 1 : (atEnd - byNow) / (1 - byNow);
  return `leaves within ${durationText(restMs)}: ${leaves < 0.01 ? 'under 1 %' : percentText(leaves)}`;
}

/** `weight 42 %, scored 0.24 %; all models 0.21 %, last-value 0.25 %; 100 values`. */
function scoredText({ weight, score, engineScore, lastValueScore, evidence }: ForecastWhy, text: SeriesView['text']) {
  const said = (values: readonly (readonly [name: string, score: number | undefined])[]) =>
    values.flatMap(([name, value]) => (value === undefined ? [] : `${name} ${text(value)}`)).join(', ');
  const others = [
    ['all models', engineScore],
    ['last-value', lastValueScore],
  ] as const;
  const own = [
    ...(weight === undefined ? [] : [`weight ${Math.round(100 * weight)} %`]),
    said([['scored', score]]) || 'not scored yet',
  ];
  const values = evidence === undefined ? '' : plural(evidence, 'value');
  return [own.join(', '), said(others), values].filter((part) => part !== '').join('; ');
}

/** Scores may be far less than one per cent. */
function shareText(share: number): string {
  return `${Number((100 * share).toPrecision(2))} %`;
}

/** What is left to the mesh, where the forecast says so; of the network, what the device itself sends and receives. */
export function viewsOf(
  forecast: Forecast,
  { samples }: Pick<History, 'samples'>,
  wanted: readonly ForecastResource[],
): ResourceView[] {
  return forecast.resources
    .filter(({ resource }) => wanted.includes(resource))
    .map(({ resource, own, available, why }) => {
      const value = pastOf(resource, forecast);
      const past = samples.flatMap((sample) => {
        const known = value(sample);
        return known === undefined ? [] : [{ ageMs: sample.ageMs, value: known }];
      });
      const future = stepsOf(available ?? own, forecast);
      const highest = Math.max(0, ...past.map((dot) => dot.value), ...future.map(({ q90 }) => q90));
      return {
        resource,
        ...kinds[resource],
        top: resource === 'cpu' ? forecast.share : resource === 'memory' ? forecast.offeredMemoryBytes : highest,
        past,
        future,
        stepMs: forecast.intervalMs,
        ...(why === undefined
          ? {}
          : { why, scored: scoredText(why, resource === 'cpu' ? shareText : kinds[resource].text) }),
      };
    });
}

function pastOf(
  resource: ForecastResource,
  { share, offeredMemoryBytes }: Forecast,
): (sample: HistorySample) => number | undefined {
  switch (resource) {
    case 'cpu':
      return ({ cpuBackgroundShare: own }) => (own === undefined ? undefined : Math.min(share, 1 - own));
    case 'memory':
      return ({ memoryAvailableBytes: free, memoryMeshBytes: mesh = 0 }) =>
        free === undefined ? undefined : Math.min(offeredMemoryBytes, free + mesh);
    case 'network-in':
      return (sample) => sample.networkReceivedBytesPerSecond;
    case 'network-out':
      return (sample) => sample.networkSentBytesPerSecond;
  }
}

/** Those that are not over yet. */
function stepsOf({ q10, q50, q90 }: ForecastBands, { intervalMs, ageMs }: Forecast): Step[] {
  const length = Math.min(q10.length, q50.length, q90.length);
  return q50
    .slice(0, length)
    .map((middle, step) => ({ fromMs: step * intervalMs - ageMs, q10: q10[step]!, q50: middle, q90: q90[step]! }))
    .filter(({ fromMs }) => fromMs + intervalMs > 0);
}
