export { findOverloadedDevices, findUnderutilizedDevices } from './find-devices.ts';
export { canMigrate, migrateSubtask, selectBestDevice } from './migrate.ts';
export { type Repartition, repartitionTask } from './repartition-task.ts';
export * from './types.ts';
