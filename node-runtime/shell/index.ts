/** The runtime of a device: transport, drivers, composition. */
export {
  type GlobalModelName,
  globalModelNames,
  type LoadedModel,
  readGlobalModel,
} from './foresight/global-models.ts';
export { createTrainer, type Trainer, type TrainingOptions } from './foresight/trainer.ts';
export { type FoundOptions, foundMesh } from './found.ts';
export * from './home.ts';
export { Link, type LinkOptions } from './link.ts';
export { loadArima } from './load-arima.ts';
export { connectMqtt, type MqttConnectOptions } from './mqtt-transport.ts';
export { startNode } from './node.ts';
export type { NodeOptions, RunningNode } from './node-options.ts';
export { release } from './release.ts';
