import { limits, type NodeMetrics, type NodeStatus } from '../../contract/index.ts';
import type { PlannerEffect } from './events.ts';
import { forgetPast, hearAhead, noteComing, noteLeaving, openSeries } from './foresight/index.ts';
import type { NodeView, PlannerState } from './state.ts';
import { loseAttempt } from './tasks.ts';

export function hearStatus(state: PlannerState, status: NodeStatus, effects: PlannerEffect[]): void {
  const known = state.nodes.get(status.node);
  const sameBoot = known?.status.bootId === status.bootId;
  if (known !== undefined && sameBoot && status.seq < known.status.seq) return; // an old will that came late
  if (!status.online) {
    // A will of an earlier boot says nothing about the node that runs now.
    if (known !== undefined && sameBoot) {
      known.status = { ...known.status, seq: status.seq };
      loseNode(state, known, 'its connection was lost', effects);
    }
    return;
  }
  if (known !== undefined && !sameBoot) {
    for (const attempt of [...known.attempts]) loseAttempt(state, attempt, 'the node restarted');
  }
  if (known === undefined || !known.online) say(effects, 'node-joined', 'info', `${status.node} is online`);
  const node: NodeView = known ?? {
    status,
    online: true,
    confirmed: false,
    seenMs: state.nowMs,
    request: 0,
    requestedMs: 0,
    owes: false,
    attempts: new Set(),
    tasksDone: 0,
    latestMs: Number.NEGATIVE_INFINITY,
    nearBlobs: new Set(),
    receivedBytesPerSecondMost: 0,
    ...openSeries(state, status.node),
  };
  if (!sameBoot || JSON.stringify(node.status.trusts) !== JSON.stringify(status.trusts)) {
    for (const job of state.jobs.values())
      for (const stage of job.stages.values()) stage.codeRefusals?.delete(status.node);
  }
  const isNews = !sameBoot || status.seq > node.status.seq;
  node.status = status;
  if (isNews) forgetPast(node, state.nowMs);
  state.nodes.set(status.node, node);
  takeBack(state, node, effects);
}

/** It is there (again): it gets work once it has said what it has in hand. */
function takeBack(state: PlannerState, node: NodeView, effects: PlannerEffect[]): void {
  // What it measured while nobody heard it is in its history.
  if (!node.online) node.series.awaitHistory();
  noteComing(state, node);
  node.online = true;
  node.confirmed = false;
  node.seenMs = state.nowMs;
  state.fleet += 1;
  askInventory(state, node, effects);
}

/**
 * Something came from this boot of a node: it lives, whatever its silence or a will that came late made us believe.
 * Undefined when its status is not known; all nodes are then asked for theirs.
 */
export function hearSignOfLife(
  state: PlannerState,
  id: string,
  bootId: string,
  effects: PlannerEffect[],
): NodeView | undefined {
  const node = state.nodes.get(id);
  if (node === undefined || node.status.bootId !== bootId) {
    if (node !== undefined || state.nodes.size < limits.nodesPerMesh) state.strangers = true;
    return undefined;
  }
  if (!node.online) {
    say(effects, 'node-joined', 'info', `${id} speaks again`);
    takeBack(state, node, effects);
  }
  node.seenMs = state.nowMs;
  return node;
}

function askInventory(state: PlannerState, node: NodeView, effects: PlannerEffect[]): void {
  node.request += 1;
  node.requestedMs = state.nowMs;
  node.owes = false;
  effects.push({ type: 'send', node: node.status.node, message: { type: 'inventory-request', request: node.request } });
}

export function hearMetrics(state: PlannerState, metrics: NodeMetrics, effects: PlannerEffect[]): void {
  const node = hearSignOfLife(state, metrics.node, metrics.bootId, effects);
  if (node === undefined) return;
  node.series.hearMetrics(metrics, node.status.memoryBytes, state.nowMs);
  hearAhead(node, metrics, state.nowMs);
  const latest = metrics.samples.at(-1);
  if (latest !== undefined) {
    node.latest = latest;
    node.latestMs = state.nowMs;
  }
  for (const { networkReceivedBytesPerSecond: received } of metrics.samples)
    node.receivedBytesPerSecondMost = Math.max(node.receivedBytesPerSecondMost, received);
}

function loseNode(state: PlannerState, node: NodeView, why: string, effects: PlannerEffect[]): void {
  if (!node.online) return;
  node.online = false;
  node.confirmed = false;
  state.fleet += 1;
  say(effects, 'node-lost', 'warning', `${node.status.node}: ${why}; ${node.attempts.size} attempts go elsewhere`);
  for (const attempt of [...node.attempts]) loseAttempt(state, attempt, why);
  noteLeaving(state, node, effects);
}

/** Its owner has taken it out of the mesh: what it ran goes elsewhere, and what the broker keeps of it is cleared. */
export function dropNode(state: PlannerState, id: string, effects: PlannerEffect[]): void {
  const node = state.nodes.get(id);
  if (node !== undefined) loseNode(state, node, 'it was removed', effects);
  node?.series.close();
  state.nodes.delete(id);
  effects.push({ type: 'clear-status', node: id }, { type: 'clear-forecast', node: id });
  say(effects, 'node-removed', 'info', `${id} was removed from the mesh`);
}

/**
 * Time passes: silent nodes are lost, all others are asked what they have, those with work often. Returns whether one is
 * asked again that has not answered: perhaps it has not heard who leads.
 */
export function watchNodes(state: PlannerState, effects: PlannerEffect[]): boolean {
  if (!state.connected) return false; // it is we who are away
  let unheard = false;
  for (const node of state.nodes.values()) {
    if (!node.online) continue;
    if (state.nowMs - node.seenMs > state.config.nodeSilenceMs) {
      loseNode(state, node, `silent for ${Math.round((state.nowMs - node.seenMs) / 1000)} s`, effects);
      continue;
    }
    const { inventoryIntervalMs, idleInventoryIntervalMs } = state.config;
    const busy = node.attempts.size > 0 || node.owes || !node.confirmed;
    if (state.nowMs - node.requestedMs <= (busy ? inventoryIntervalMs : idleInventoryIntervalMs)) continue;
    unheard ||= !node.confirmed;
    askInventory(state, node, effects);
  }
  return unheard;
}

function say(effects: PlannerEffect[], kind: string, severity: 'info' | 'warning', text: string): void {
  effects.push({ type: 'event', event: { kind, severity, text } });
}
