import { createHash } from 'node:crypto';
import { type LoadedModel, readGlobalModel } from './global-models.ts';

interface Shelved {
  readonly model: LoadedModel;
  holders: number;
}

const shelf = new Map<string, Shelved>();

/**
 * Makes the model of these weights ready, so that `modelOf` has it at once: the machine of a voter takes weights, as its journal does, and waits for nothing.
 * The answer gives it back: what nobody holds is disposed of. Throws what `readGlobalModel` throws.
 */
export async function holdModel(weights: Uint8Array): Promise<() => void> {
  const key = keyOf(weights);
  if (!shelf.has(key)) {
    const model = await readGlobalModel(weights);
    // Somebody else may have been quicker.
    if (shelf.has(key)) model.dispose?.();
    else shelf.set(key, { model, holders: 0 });
  }
  const shelved = shelf.get(key)!;
  shelved.holders += 1;
  let isHeld = true;
  return () => {
    if (!isHeld) return;
    isHeld = false;
    shelved.holders -= 1;
    if (shelved.holders > 0) return;
    shelf.delete(key);
    shelved.model.dispose?.();
  };
}

/** The model of weights that somebody holds. */
export function modelOf(weights: Uint8Array): LoadedModel {
  const shelved = shelf.get(keyOf(weights));
  if (shelved === undefined) throw new Error('these weights were not made ready');
  return shelved.model;
}

function keyOf(weights: Uint8Array): string {
  return createHash('sha256').update(weights).digest('base64url');
}
