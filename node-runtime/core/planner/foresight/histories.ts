import type { SeriesWindow } from '@foremesh/models';
import type { PlannerState } from '../state.ts';
import { rangeOf } from './node-series.ts';
import type { LearnedKind } from './steps.ts';

/** With this share of the nodes unheard it is not worth while to wait for the rest: in a large mesh there is always one that comes. */
const unsettledShare = 0.1;

/**
 * What the leader knows of the past of all series of a kind, in steps of its forecasts: what a model can be
 * trained on, in a large mesh of some of its nodes (`trainingStepsAmong`). Undefined while too many
 * of the nodes that are there have yet to say what they remember.
 */
export function historiesOf({ nodes, config }: PlannerState, kind: LearnedKind): SeriesWindow[] | undefined {
  const histories: SeriesWindow[] = [];
  let [there, unsettled] = [0, 0];
  for (const { online, series } of nodes.values()) {
    if (online) there += 1;
    if (online && !series.isSettled) unsettled += 1;
    const values = series.history(kind);
    if (values.length > 0) histories.push({ intervalMs: config.forecastStepMs, range: rangeOf(kind), values });
  }
  return unsettled > unsettledShare * there ? undefined : histories;
}
