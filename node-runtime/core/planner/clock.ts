import { limits, type Problem } from '../../contract/index.ts';
import type { PlannerEffect } from './events.ts';
import type { ClockTrust, PlannerState } from './state.ts';

/**
 * Compares our wall clock with those of the fleet: schedules and expiry rest on it. More than half of the nodes that are here
 * must have told theirs, and the median of them (the mean of the two in the middle) must be near ours. A node tells it with
 * each inventory; between two of them both clocks are taken to run alike, and ours may jump.
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
  const leads: number[] = [];
  let here = 0;
  for (const { online, confirmed, clockLeadMs, status } of state.nodes.values()) {
    // Of ours we know what it says now. A node of an older release does not tell, and is not waited for.
    const leadMs = status.node === state.id ? state.wallMs - state.nowMs : clockLeadMs;
    if (!online || (confirmed && leadMs === undefined)) continue;
    here += 1;
    if (leadMs !== undefined) leads.push(leadMs);
  }
  if (!state.connected || leads.length === 0 || leads.length * 2 <= here) return { clock: 'unheard', offMs: 0 };
  leads.sort((a, b) => a - b);
  const middle = leads.length >> 1;
  const median = leads.length % 2 === 1 ? leads[middle]! : (leads[middle - 1]! + leads[middle]!) / 2;
  const offMs = state.wallMs - state.nowMs - median;
  return { clock: Math.abs(offMs) > limits.clockOffMs ? 'wrong' : 'right', offMs };
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
