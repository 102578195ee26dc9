import { decodeWeights, type GlobalModel, ridgeModel, WeightsError } from '@foremesh/models';
import { MeshError } from '../../contract/index.ts';

const needed = [
  '@foremesh/models',
  '@tensorflow/tfjs-core',
  '@tensorflow/tfjs-layers',
  '@tensorflow/tfjs-backend-wasm',
];

/** Which models can be trained: the first needs packages that a device does not have to have. */
export const globalModelNames = ['lstm', 'ridge'] as const;
export type GlobalModelName = (typeof globalModelNames)[number];

/**
 * The LSTM and TensorFlow.js with it, loaded when first asked for. Throws `MESH_NOT_INSTALLED` where a package of it is missing: the leader then
 * goes on with its other models.
 */
export async function loadLstm(): Promise<typeof import('@foremesh/models/lstm')> {
  try {
    return await import('@foremesh/models/lstm');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const isAbsent = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
    if (!isAbsent || !needed.some((name) => message.includes(`'${name}`))) throw error;
    throw new MeshError('MESH_NOT_INSTALLED', `the LSTM needs packages that are not installed: ${message}`, {
      mend: `npm install ${needed.join(' ')}`,
      cause: error,
    });
  }
}

/** A global model that is in use. */
export interface LoadedModel extends GlobalModel {
  /** Gives back what it holds outside of the heap; nothing may be predicted after. */
  dispose?(): void;
}

/**
 * The model of weights that a `Trainer`, perhaps another leader's, has made. Throws a `WeightsError` for bytes that are damaged, foreign or of a
 * later version, and `MESH_NOT_INSTALLED` where this machine lacks what the model needs.
 */
export async function readGlobalModel(bytes: Uint8Array): Promise<LoadedModel> {
  const weights = decodeWeights(bytes);
  switch (weights.model as GlobalModelName) {
    case 'ridge':
      return ridgeModel(weights);
    case 'lstm':
      return (await loadLstm()).lstmModel(weights);
    default:
      throw new WeightsError('other-model', `weights of ${weights.model}, which this version does not know`);
  }
}
