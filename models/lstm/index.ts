/**
 * The LSTM: one network for all series. It needs TensorFlow.js (`@tensorflow/tfjs-core`, `-layers`, `-backend-wasm`), which is installed only where it
 * is wanted: import this entry when it is needed, and be ready that it is not there.
 */
export { type LstmModel, lstmModel } from './model.ts';
export { type LstmOptions, type LstmProgress, lstmDefaults, trainLstm } from './training.ts';
