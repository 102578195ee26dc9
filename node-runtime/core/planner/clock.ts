import { limits, type Problem } from '../../contract/index.ts';
import type { PlannerEffect } from './events.ts';
import type { ClockTrust, PlannerState } from './state.ts';

/**
 * Compares our wall clock with those of the fleet: schedules rest on it. It is right when those of more than half of the nodes
 * that are here are near it: then the median of the fleet is, whatever the others will tell. A node tells it with each
 * inventory, which counts until the one after the next should have come: meanwhile ours may jump, and theirs be set.
 */
export function watchClock(state: PlannerState, effects: PlannerEffect[]): void {
  const { clock, offMs } = judge(state);
  if (clock === state.clock) return;
  const before = state.clock;
  state.clock = clock;
  delete state.clockProblem;
  if (clock !== 'right') state.clockProblem = problemOf(state, clock, offMs);
  const scheduled = [...state.jobs.values()].filter(({ schedule }) => schedule !== undefined);
  for (const view of scheduled) view.dirty = true;
  if (scheduled.length === 0 || (clock !== 'wrong' && before !== 'wrong')) return;
  const event =
    clock === 'wrong'
      ? { kind: 'schedules-wait', severity: 'warning' as const, text: state.clockProblem!.message }
      : { kind: 'schedules-go-on', severity: 'info' as const, text: `the clock of ${state.id} is ${clock} now` };
  effects.push({ type: 'event', event });
}

function judge(state: PlannerState): { readonly clock: ClockTrust; readonly offMs: number } {
  const ourMs = state.wallMs - state.nowMs;
  const offsMs: number[] = [];
  let here = 0;
  const toldSinceMs = state.nowMs - 2 * state.config.idleInventoryIntervalMs;
  for (const { online, confirmed, clockTold, status } of state.nodes.values()) {
    // Of ours we know what it says now. A node of an older release does not tell, and is not waited for.
    if (!online || (confirmed && status.node !== state.id && clockTold === undefined)) continue;
    here += 1;
    if (status.node === state.id) offsMs.push(0);
    else if (clockTold !== undefined && clockTold.atMs >= toldSinceMs) offsMs.push(ourMs - clockTold.leadMs);
  }
  const near = offsMs.filter((offMs) => Math.abs(offMs) <= limits.clockOffMs).length;
  if (state.connected && near * 2 > here) return { clock: 'right', offMs: 0 };
  const silent = here - offsMs.length;
  if (!state.connected || (near + silent) * 2 > here) return { clock: 'unheard', offMs: 0 };
  offsMs.sort((a, b) => a - b);
  const [below, above] = [offsMs[(offsMs.length - 1) >> 1]!, offsMs[offsMs.length >> 1]!];
  return { clock: 'wrong', offMs: Math.abs(below) > Math.abs(above) ? below : above };
}

function problemOf({ id }: PlannerState, clock: ClockTrust, offMs: number): Problem {
  if (clock === 'unheard') {
    const message = `${id} leads, and has not heard yet what time most nodes have: until then no schedule starts anything`;
    return { code: 'MESH_CLOCK_UNSURE', message, mend: 'wait a moment; `foremesh nodes` shows who is there' };
  }
  const seconds = Math.round(Math.abs(offMs) / 1_000);
  const message = `${id} leads, and its clock is ${seconds} s ${offMs > 0 ? 'ahead of' : 'behind'} the median of the fleet (clockOffMs is ${limits.clockOffMs}): until that is mended no schedule starts anything`;
  return {
    code: 'MESH_CLOCK_UNSURE',
    message,
    mend: `set the clocks: \`timedatectl set-ntp true\` on ${id}, and elsewhere`,
  };
}
