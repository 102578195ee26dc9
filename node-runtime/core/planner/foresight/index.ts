export { currentCpu, memoryFreeNow, ownCpuAhead, slotsFreeSeconds } from './availability.ts';
export { capacityOf, leavesPerSecondOf, memoryFreeAhead, type SlotRates } from './capacity.ts';
export { firstRoomOf } from './first-room.ts';
export { type Foresight, foresightBy, type SeriesName } from './foresight.ts';
export { historiesOf } from './histories.ts';
export { hasMoreToLearn, isForeseen, study, unforeseenIn } from './learning.ts';
export type { NodeSeries } from './node-series.ts';
export { forgetPast, hearAhead, type OffersAhead } from './offers.ts';
export type { Presence } from './presence.ts';
export { type LearnedKind, learnedKinds } from './steps.ts';
export {
  createForesightState,
  type ForesightState,
  hearHistory,
  noteComing,
  noteLeaving,
  openSeries,
  useModel,
  watchForesight,
} from './watch.ts';
