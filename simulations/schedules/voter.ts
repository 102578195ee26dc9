import { lastValue, predictTasks } from '@foremesh/models';
import {
  decodeCbor,
  encodeCbor,
  type InboxMessage,
  limits,
  type NodeStatus,
  type OutboxMessage,
} from '@foremesh/node-runtime/contract';
import {
  createLedger,
  createPlanner,
  foresightBy,
  type Ledger,
  type PlannerEffect,
  type PlannerEvent,
  type PlannerState,
  restoreLedger,
  snapshotLedger,
  stepPlanner,
  validateLedger,
  validatePlanner,
} from '@foremesh/node-runtime/core';
import { cutByWeights, recordIndexProblem, standardPlacement } from '@foremesh/partitioner';
import { occurrencesOf } from '@foremesh/partitioner/occurrences';

/** A machine of this simulation: a wall clock that may be wrong, a ledger, and a planner while it leads. */
export class ScheduleVoter {
  readonly id: string;
  ledger: Ledger = createLedger();
  planner: PlannerState;
  /** How wrong its wall clock is. */
  wrongMs = 0;
  #boots = 0;

  constructor(id: string) {
    this.id = id;
    this.planner = this.#boot();
  }

  #boot(): PlannerState {
    this.#boots += 1;
    return createPlanner({
      id: this.id,
      bootId: `${this.id}-${this.#boots}`,
      holders: ['broker'],
      ledger: this.ledger,
      policy: {
        cut: (index, weights) => recordIndexProblem(index) ?? cutByWeights(index, weights),
        ...standardPlacement,
        looksAhead: true,
        createForesight: () => foresightBy(lastValue),
        predictTasks,
        occurrences: occurrencesOf,
      },
      // Nobody is looked at for a quarter of an hour at a time: nobody is silent by that.
      config: { nodeSilenceMs: 86_400_000 },
    });
  }

  /** Another process, from what the disk holds. */
  restart(): void {
    this.ledger = restoreLedger(decodeCbor(encodeCbor(snapshotLedger(this.ledger))));
    this.planner = this.#boot();
  }

  step(event: PlannerEvent, trueMs: number): PlannerEffect[] {
    // Clocks that do not jump differ by when their machines came up.
    const nowMs = trueMs - 1_000_000 * this.id.charCodeAt(1);
    const effects = stepPlanner(this.planner, event, { nowMs, wallMs: trueMs + this.wrongMs });
    validatePlanner(this.planner);
    validateLedger(this.ledger);
    return effects;
  }

  status(): NodeStatus {
    return {
      v: 1,
      node: this.id,
      bootId: `${this.id}-${this.#boots}`,
      seq: 1,
      online: true,
      release: '0.0.0',
      arch: 'x64',
      platform: 'linux',
      cores: 4,
      memoryBytes: 1024 ** 3,
      engines: ['js'],
      speed: { js: 1 },
      labels: [],
      share: 1,
      slots: 32,
      queue: 32,
      offeredMemoryBytes: 64 * limits.memoryBytesLeast,
      mayLead: true,
      publicKey: 'A'.repeat(43),
      admission: 'A'.repeat(43),
    };
  }
}

/** What the node of such a machine does with what it is told: it forgets nothing, and works as long as it is to. */
export class ScheduleNode {
  readonly #held = new Map<string, number>();
  readonly #outcomes = new Set<string>();

  hear(message: InboxMessage, untilMs: number, clockMs: number): OutboxMessage[] {
    if (message.type === 'assign') this.#held.set(message.attempt, untilMs);
    if (message.type === 'cancel') this.#held.delete(message.attempt);
    if (message.type === 'committed') for (const attempt of message.attempts) this.#outcomes.delete(attempt);
    if (message.type !== 'inventory-request') return [];
    const { request } = message;
    return [
      ...[...this.#outcomes].map(doneOf),
      { type: 'inventory', request, attempts: [...this.#held.keys()], clockMs },
    ];
  }

  /** What has been done since. */
  work(trueMs: number): OutboxMessage[] {
    const done = [...this.#held].filter(([, untilMs]) => untilMs <= trueMs).map(([attempt]) => attempt);
    for (const attempt of done) {
      this.#held.delete(attempt);
      this.#outcomes.add(attempt);
    }
    return done.map(doneOf);
  }
}

function doneOf(attempt: string): OutboxMessage {
  const usage = { cpuMs: 1, wallMs: 1, peakMemoryBytes: 1, inputBytes: 0, outputBytes: 1 };
  return { type: 'done', attempt, usage, output: { encoding: 'json', inline: new TextEncoder().encode('1') } };
}
