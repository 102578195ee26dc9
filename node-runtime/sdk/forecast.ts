import { decode, type NodeForecast, nodeForecast } from '../contract/index.ts';
import type { MeshLink } from './mesh-link.ts';
import type { Queries } from './queries.ts';

export interface Forecast extends NodeForecast {
  /** How long ago the first of its steps began. */
  readonly ageMs: number;
  /** Of a node that is away: since when it was not heard; of one that this leader has never heard, at most so long. `left` is absent then. */
  readonly awayMs?: number;
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
    const [{ wallMs = Date.now() }, { nodes, truncated }] = await Promise.all([
      queries.ask({ query: 'voters' }),
      queries.ask({ query: 'nodes' }),
    ]);
    const patience = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), retainedMs);
    });
    const forecast = await Promise.race([heard, patience]);
    if (forecast === undefined) return undefined;
    const ageMs = Math.max(0, wallMs - forecast.originWallMs);
    const row = nodes.find(({ status }) => status.node === forecast.node);
    if (row === undefined ? truncated > 0 : row.status.online) return { ...forecast, ageMs };
    const { left: _, ...rest } = forecast;
    return { ...rest, ageMs, awayMs: row?.silentMs ?? ageMs };
  } finally {
    clearTimeout(timer);
    watch.stop();
  }
}
