import { decode, encode, jobEndPhases, jobState } from '@foremesh/node-runtime/contract';
import type { VirtualConnection } from '../engine/broker.ts';
import { Lifetime, type Machine } from '../engine/machine.ts';
import type { VirtualJob } from '../scenario/virtual-jobs.ts';
import type { World } from '../world.ts';

const repeatMs = 2_000;

/** Whoever submits: says it again until it sees that the job is accepted, and changes its mind about some jobs. */
export class VirtualClient {
  readonly #world: World;
  readonly #life: Lifetime;
  readonly #accepted = new Set<string>();
  readonly #ended = new Set<string>();
  #connection: VirtualConnection | undefined;
  #connections = 0;

  constructor(world: World, machine: Machine) {
    this.#world = world;
    this.#life = new Lifetime(machine);
  }

  start(): void {
    this.#connect();
    for (const job of this.#world.jobs.values()) this.#life.after(job.submitMs, () => this.#submit(job));
  }

  #connect(): void {
    this.#connections += 1;
    let made: VirtualConnection | undefined;
    this.#world.broker.connect(
      {
        clientId: `client-${this.#connections}`,
        machine: this.#life.machine.id,
        onMessage: (topic, payload) => {
          if (this.#connection === made) this.#hear(topic, payload);
        },
        onClosed: () => {
          if (this.#connection !== made) return;
          this.#connection = undefined;
          this.#again();
        },
      },
      (connection) => {
        made = connection;
        this.#connection = connection;
        if (connection === undefined) this.#again();
        else connection.subscribe([`${this.#world.topics.prefix}jobs/me/+/state`], () => {});
      },
    );
  }

  #again(): void {
    this.#life.after(this.#life.machine.chance.between(200, 3_000), () => this.#connect());
  }

  #submit(job: VirtualJob): void {
    if (this.#ended.has(job.job) || (job.cancelMs === undefined && this.#accepted.has(job.job))) return;
    const { topics, time } = this.#world;
    const published = { qos: 1 } as const;
    if (!this.#accepted.has(job.job))
      this.#connection?.publish(topics.jobSpec('me', job.job), encode({ v: 1 }, 'json'), published);
    if (job.cancelMs !== undefined && time.nowMs >= job.cancelMs) {
      this.#connection?.publish(topics.jobCancel('me', job.job), encode({ v: 1, reason: 'enough' }, 'json'), published);
    }
    this.#life.after(repeatMs, () => this.#submit(job));
  }

  #hear(topic: string, payload: Uint8Array): void {
    const parsed = this.#world.topics.parse(topic);
    if (parsed?.kind !== 'state' || payload.length === 0) return;
    const { phase, job } = decode(jobState, payload);
    this.#accepted.add(job);
    if (jobEndPhases.includes(phase)) this.#ended.add(job);
  }
}
