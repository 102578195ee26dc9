// A thread that trains one global model and says how far it is; `trainer.ts` starts and ends it.
import { parentPort, workerData } from 'node:worker_threads';
import { encodeWeights, trainRidge, type Weights } from '@foremesh/models';
import { MeshError } from '../../contract/index.ts';
import { loadLstm } from './global-models.ts';
import type { TrainingMessage, TrainingOrder } from './trainer.ts';

const { model, histories, lags, steps, seed, updates } = workerData as TrainingOrder;
const say = (message: TrainingMessage) => parentPort!.postMessage(message);

async function train(): Promise<Weights | undefined> {
  if (model === 'ridge') return trainRidge(histories, { lags, steps });
  const { trainLstm } = await loadLstm();
  return trainLstm(histories, {
    lags,
    steps,
    seed,
    updates,
    onProgress: ({ update }) => say({ share: update / updates }),
  });
}

try {
  const weights = await train();
  say({ bytes: weights === undefined ? undefined : encodeWeights(weights) });
} catch (error) {
  if (!(error instanceof MeshError)) throw error;
  // An error of ours does not cross to another thread whole.
  const { code, message, mend } = error;
  say({ failed: { code, message, ...(mend === undefined ? {} : { mend }) } });
}
