import assert from 'node:assert/strict';
import { createLedger, type PlannerEffect, plannerDefaults } from '@foremesh/node-runtime/core';
import fc from 'fast-check';
import { Leader, nodeStatus, planOf, stagePlan } from '../../unit/core/samples.ts';

const numRuns = Math.max(40, Number(process.env.FOREMESH_FUZZ_RUNS ?? 0));
const names = ['bob', 'cyd', 'dan'];
const config = { nodeSilenceMs: 1e9, movesPerInterval: 2 };
const { moveCoolDownMs, movesIntervalMs } = plannerDefaults;

/** Devices that do what they are told, under leaders that come and go; what each does is heard at once. */
class Mesh {
  readonly ledger = createLedger();
  /** What each device runs. */
  readonly held = new Map(names.map((name) => [name, new Set<string>()]));
  readonly own = new Map(names.map((name) => [name, 0]));
  readonly moves: { readonly task: string; readonly atMs: number }[] = [];
  leader!: Leader;
  nowMs = 0;
  #term = 0;
  #seq = 0;

  lead(): void {
    this.#term += 1;
    this.leader = new Leader(config, this.ledger, this.#term, { looksAhead: false });
    this.leader.nowMs = this.nowMs;
    this.hear(this.leader.elect(this.#term));
    for (const name of names) {
      this.hear(this.leader.step({ type: 'node-status', status: nodeStatus(name, { slots: 2, cores: 2 }) }));
      const { request } = this.leader.planner.nodes.get(name)!;
      this.hear(this.leader.report(name, [{ type: 'inventory', request, attempts: [...this.held.get(name)!] }]));
      this.measure(name);
    }
  }

  measure(node: string): void {
    this.#seq += 1;
    const cpuBackgroundShare = this.own.get(node)!;
    const memory = { memoryAvailableBytes: 1024 ** 3, memoryMeshBytes: 0 };
    const network = { networkReceivedBytesPerSecond: 0, networkSentBytesPerSecond: 0 };
    const sample = { ageMs: 0, cpuShare: cpuBackgroundShare, cpuBackgroundShare, ...memory, ...network };
    const metrics = { v: 1 as const, node, bootId: `${node}-1`, seq: this.#seq, samples: [sample] };
    this.hear(this.leader.step({ type: 'node-metrics', metrics }));
  }

  pass(forMs: number): void {
    for (const untilMs = this.nowMs + forMs; this.nowMs < untilMs; ) {
      this.nowMs += 2_000;
      this.hear(this.leader.step({ type: 'tick' }, 2_000));
    }
  }

  hear(effects: readonly PlannerEffect[]): void {
    for (const effect of effects) {
      if (effect.type === 'event' && effect.event.kind === 'task-moved')
        this.moves.push({ task: String(effect.event.fields!.job), atMs: this.nowMs });
      if (effect.type !== 'send') continue;
      const { node, message } = effect;
      const held = this.held.get(node)!;
      if (message.type === 'assign') {
        held.add(message.attempt);
        this.hear(this.leader.report(node, [{ type: 'started', attempt: message.attempt }]));
      } else if (message.type === 'cancel') held.delete(message.attempt);
      else if (message.type === 'inventory-request') {
        const { request } = message;
        this.hear(this.leader.report(node, [{ type: 'inventory', request, attempts: [...held] }]));
      }
    }
  }
}

const turn = fc.oneof(
  { weight: 3, arbitrary: fc.record({ node: fc.constantFrom(...names), own: fc.constantFrom(0, 0.99) }) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 40 }).map((seconds) => ({ seconds })) },
  { weight: 2, arbitrary: fc.constant({ leads: true as const }) },
);

describe('moves, over changes of leaders', () => {
  it('no task moves again within its cool-down, and no more move than the intervals allow', () => {
    let moved = 0;
    fc.assert(
      fc.property(fc.array(turn, { minLength: 10, maxLength: 40 }), (turns) => {
        const mesh = new Mesh();
        mesh.lead();
        for (let job = 0; job < 4; job += 1)
          mesh.hear(mesh.leader.submit(`j${job}`, planOf(stagePlan('s', { estimateSeconds: 600 }))));
        for (const each of turns) {
          if ('leads' in each) mesh.lead();
          else if ('seconds' in each) mesh.pass(each.seconds * 1_000);
          else {
            mesh.own.set(each.node, each.own);
            mesh.measure(each.node);
          }
        }
        moved += mesh.moves.length;
        for (const [index, { task, atMs }] of mesh.moves.entries()) {
          const before = mesh.moves.slice(0, index).findLast((other) => other.task === task);
          assert.ok(before === undefined || atMs - before.atMs >= moveCoolDownMs, JSON.stringify(mesh.moves));
          // Any time as long as an interval lies in two of them.
          const lately = mesh.moves.filter((other) => other.atMs <= atMs && atMs - other.atMs < movesIntervalMs);
          assert.ok(lately.length <= 2 * config.movesPerInterval, JSON.stringify(mesh.moves));
        }
      }),
      { numRuns },
    );
    assert.ok(moved > 0, 'something has moved');
  });
});
