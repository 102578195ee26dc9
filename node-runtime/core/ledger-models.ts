import { type DataReference, type ForecastResource, forecastResource } from '../contract/index.ts';
import type { Ledger } from './ledger.ts';
import type { LedgerEvent, MeshCommand } from './ledger-commands.ts';

/** Weights of a forecasting model that a leader has trained for all series of a kind: the next leader goes on with them. */
export interface LedgerModel {
  readonly kind: ForecastResource;
  /** Its name, and where its weights are. */
  readonly model: string;
  readonly weights: DataReference;
  readonly trainedOn: { readonly series: number; readonly windows: number };
  /** How old the log was: see `Ledger.ageMs`. */
  readonly ageMs: number;
}

/** One model per kind: the newest, and what the one before it was made of is needed no more. */
export function keepModel(ledger: Ledger, command: MeshCommand & { type: 'keep-model' }): LedgerEvent[] {
  const { kind, model, weights, trainedOn } = command;
  if (!forecastResource.options.includes(kind)) return [{ type: 'dropped', command, reason: 'no such series' }];
  ledger.models.set(kind, { kind, model, weights, trainedOn, ageMs: ledger.ageMs });
  return [{ type: 'model-kept', kind }];
}

export function findModelsFault({ models, ageMs }: Ledger): string | undefined {
  for (const [kind, model] of models) {
    if (model.kind !== kind) return `the model of ${model.kind} is filed under ${kind}`;
    if (model.ageMs > ageMs) return `the model of ${kind} is of the future`;
  }
  return undefined;
}
