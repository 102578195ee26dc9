import { decode, type NodeForecast, nodeForecast } from '../contract/index.ts';
import type { MeshLink } from './mesh-link.ts';
import type { Queries } from './queries.ts';

export interface Forecast extends NodeForecast {
  /** How long ago the first of its steps began. */
  readonly ageMs: number;
}

/** How much later than an answer of the leader what a broker retains may come. */
const retainedMs = 500;

/**
 * What is retained on the topic of a forecast. Its age is told by the leader's clock, by which it was dated: ours may be another.
 */
export async function readForecast(link: MeshLink, topic: string, queries: Queries): Promise<Forecast | undefined> {
  let take!: (forecast: NodeForecast) => void;
  const heard = new Promise<NodeForecast>((resolve) => {
    take = resolve;
  });
  const watch = link.watch([topic], (payload) => {
    try {
      take(decode(nodeForecast, payload));
    } catch {
      return; // cleared, or malformed: as if there were none
    }
  });
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    await watch.ready;
    const { wallMs = Date.now() } = await queries.ask({ query: 'voters' });
    const patience = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), retainedMs);
    });
    const forecast = await Promise.race([heard, patience]);
    return forecast && { ...forecast, ageMs: Math.max(0, wallMs - forecast.originWallMs) };
  } finally {
    clearTimeout(timer);
    watch.stop();
  }
}
