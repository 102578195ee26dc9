import type { NodeMetrics, NodeStatus } from '../../contract/index.ts';
import type { PlannerEffect } from './events.ts';
import type { NodeView, PlannerState } from './state.ts';
import { loseAttempt } from './tasks.ts';

/** Samples come at this interval unless the node says otherwise by their ages. */
const sampleIntervalMs = 5_000;

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
    attempts: new Set(),
    tasksDone: 0,
    background: state.policy.createForecaster(sampleIntervalMs),
  };
  node.status = status;
  node.online = true;
  node.confirmed = false;
  node.seenMs = state.nowMs;
  state.nodes.set(status.node, node);
  askInventory(state, node, effects);
}

export function askInventory(state: PlannerState, node: NodeView, effects: PlannerEffect[]): void {
  node.request += 1;
  node.requestedMs = state.nowMs;
  effects.push({ type: 'send', node: node.status.node, message: { type: 'inventory-request', request: node.request } });
}

export function hearMetrics(state: PlannerState, metrics: NodeMetrics): void {
  const node = state.nodes.get(metrics.node);
  if (node === undefined || node.status.bootId !== metrics.bootId) return;
  node.seenMs = state.nowMs;
  for (const sample of metrics.samples) {
    node.latest = sample;
    node.background.observe(sample.cpuBackgroundShare);
  }
}

function loseNode(state: PlannerState, node: NodeView, why: string, effects: PlannerEffect[]): void {
  if (!node.online) return;
  node.online = false;
  node.confirmed = false;
  say(effects, 'node-lost', 'warning', `${node.status.node}: ${why}; ${node.attempts.size} attempts go elsewhere`);
  for (const attempt of [...node.attempts]) loseAttempt(state, attempt, why);
}

/** Time passes: silent nodes are lost, nodes with work (or with an unanswered question) are asked what they have. */
export function watchNodes(state: PlannerState, effects: PlannerEffect[]): void {
  if (!state.connected) return; // it is we who are away
  for (const node of state.nodes.values()) {
    if (!node.online) continue;
    if (state.nowMs - node.seenMs > state.config.nodeSilenceMs) {
      loseNode(state, node, `silent for ${Math.round((state.nowMs - node.seenMs) / 1000)} s`, effects);
    } else if ((node.attempts.size > 0 || !node.confirmed) && state.nowMs - node.requestedMs > state.config.inventoryIntervalMs) {
      askInventory(state, node, effects);
    }
  }
}

function say(effects: PlannerEffect[], kind: string, severity: 'info' | 'warning', text: string): void {
  effects.push({ type: 'event', event: { kind, severity, text } });
}
