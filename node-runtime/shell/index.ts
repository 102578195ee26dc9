/** The runtime of a device: transport, drivers, composition. */
export * from './home.ts';
export { Link, type LinkOptions } from './link.ts';
export { connectMqtt, type MqttConnectOptions } from './mqtt-transport.ts';
export { identityOf, type NodeOptions, type RunningNode, startNode } from './node.ts';
export { release } from './release.ts';
