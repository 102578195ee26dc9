import { limits } from '@foremesh/node-runtime/contract';
import {
  applyCommand,
  type JobPlan,
  type LedgerCommand,
  type LedgerEvent,
  type PlannerEffect,
  type PlannerEvent,
} from '@foremesh/node-runtime/core';
import { type CronOccurrences, occurrencesOf } from '@foremesh/partitioner/occurrences';
import { asViolation, check, type Violation } from '../checks/violation.ts';
import { Chance } from '../engine/chance.ts';
import type { ScheduleScenario } from './scenario.ts';
import { ScheduleNode, ScheduleVoter } from './voter.ts';

const schedule = 'nightly';
const key = `me/${schedule}`;
/** A leader looks around so often near an occurrence; far from one, now and then. */
const lookEveryMs = 7_000;
const farLooksMs = 2_700_000;
/** How wrong a leader can be about another's clock: that of the other, and how late its answer came. */
const slackMs = 15_000;
const looksMost = 2_000_000;
const retentionMs = 6 * 3_600_000;

export interface ScheduleResult {
  readonly violation?: Violation;
  readonly started: number;
  readonly skipped: number;
  /** How often another began to lead. */
  readonly changes: number;
  readonly jumps: number;
  readonly days: number;
}

/** Weeks of a schedule, with the core's own planner and ledger: leaders come and go, clocks jump. Never throws. */
export function runSchedule(scenario: ScheduleScenario): ScheduleResult {
  const run = new ScheduleRun(scenario);
  let violation: Violation | undefined;
  try {
    run.run();
  } catch (error) {
    violation = asViolation(error);
  }
  const { started, skipped, changes, jumps, days } = run;
  const counts = { started: started.size, skipped: skipped.size, changes, jumps, days };
  return violation === undefined ? counts : { violation, ...counts };
}

class ScheduleRun {
  readonly #scenario: ScheduleScenario;
  readonly #chance: Chance;
  readonly #voters: ScheduleVoter[];
  readonly #nodes = new Map<string, ScheduleNode>();
  readonly #occurrences: CronOccurrences;
  #leader: ScheduleVoter | undefined;
  #nobodyUntilMs = 0;
  #term = 0;
  #nowMs: number;
  /** Proposed, and in the log of nobody else yet. */
  #pending: LedgerCommand[] = [];
  readonly #settled: LedgerCommand[] = [];
  /** What nodes say to a new leader may be lost for a while: it knows no time but its own. */
  #deafUntilMs = 0;
  /** Answers that come with the next look. */
  #late: (() => void)[] = [];
  #begunMs: number | undefined;
  #lastMs = Number.NEGATIVE_INFINITY;
  /** When a leader that could start something last looked around, and since when one has at every look. */
  #ableMs = Number.NEGATIVE_INFINITY;
  /** The longest times, from and to, when nobody could. */
  readonly #gaps: { readonly fromMs: number; readonly toMs: number }[] = [];
  readonly started = new Set<number>();
  readonly skipped = new Map<number, string>();
  readonly #open = new Set<string>();
  readonly #endedMs = new Map<string, number>();
  changes = 0;
  jumps = 0;

  constructor(scenario: ScheduleScenario) {
    const { seed, nodes, cron, timezone, startMs } = scenario;
    this.#scenario = scenario;
    this.#chance = new Chance(seed).fork('schedule-run');
    this.#nowMs = startMs;
    const occurrences = occurrencesOf({ cron, timezone });
    if (typeof occurrences === 'string') throw new Error(occurrences);
    this.#occurrences = occurrences;
    this.#voters = Array.from({ length: nodes }, (_, number) => new ScheduleVoter(`n${number}`));
    for (const voter of this.#voters) {
      this.#nodes.set(voter.id, new ScheduleNode());
      voter.wrongMs = this.#chance.between(-4_000, 4_000);
    }
  }

  get days(): number {
    return Math.round((this.#nowMs - this.#scenario.startMs) / 86_400_000);
  }

  run(): void {
    this.#elect();
    for (let look = 0; this.started.size + this.skipped.size < this.#scenario.occurrences; look += 1) {
      check(look < looksMost, 'schedule', `only ${this.started.size} occurrences by ${this.#text(this.#nowMs)}`);
      this.#look();
    }
    this.#calm();
  }

  #plan(): JobPlan {
    const { cron, timezone, catchUp, overlap } = this.#scenario;
    const code = { engine: 'js' as const, blob: `sha256-${'c'.repeat(64)}`, sizeBytes: 1 };
    const limit = { memoryBytes: limits.memoryBytesLeast, cpuMs: 1_000, wallMs: 1_000, outputBytes: 1_000 };
    const stage = { stage: 's', code, needs: [], priority: 5, retries: 2, limits: limit, labels: [], sink: true };
    return { stages: [stage], schedule: { cron, timezone, catchUp, overlap }, retentionMs };
  }

  /** A moment: something may go wrong, then whoever leads looks around. */
  #look(): void {
    const { changePermille, jumpPermille } = this.#scenario;
    this.#nowMs += this.#untilNextLook();
    if (this.#chance.next() * 1_000 < jumpPermille) this.#jump();
    if (this.#leader !== undefined && this.#chance.next() * 1_000 < changePermille) this.#depose();
    if (this.#leader === undefined && this.#nowMs >= this.#nobodyUntilMs) this.#elect();
    if (this.#leader === undefined) return;
    // A client repeats until it is accepted.
    if (!this.#leader.ledger.jobs.has(key))
      this.#feed({ type: 'submitted', account: 'me', job: schedule, specHash: 'h', plan: this.#plan() });
    for (const answer of this.#late.splice(0)) answer();
    for (const [node, work] of this.#nodes) this.#report(node, work.work(this.#nowMs));
    this.#feed({ type: 'tick' });
    if (this.#leader.planner.clock === 'right') {
      if (this.#nowMs - this.#ableMs > lookEveryMs * 2) this.#gaps.push({ fromMs: this.#ableMs, toMs: this.#nowMs });
      this.#ableMs = this.#nowMs;
    }
    // What was proposed is in the log soon, or at the next look.
    if (this.#chance.percent(80)) this.#commit(this.#pending.length);
  }

  #untilNextLook(): number {
    const before = this.#occurrences.latest(this.#nowMs) ?? 0;
    const next = this.#occurrences.next(this.#nowMs) ?? Number.POSITIVE_INFINITY;
    const isNear = this.#nowMs - before < 1.3 * limits.scheduleLateMs || next - this.#nowMs <= lookEveryMs;
    const far = next - this.#nowMs - lookEveryMs;
    return isNear ? lookEveryMs : Math.min(farLooksMs, Math.max(lookEveryMs, far));
  }

  /** By hours or years, or a little more than is allowed; or somebody sets it. Most clocks are right at any time. */
  #jump(): void {
    const wrong = this.#voters.filter(({ wrongMs }) => Math.abs(wrongMs) > 5_000);
    const mended = wrong.find(() => this.#chance.percent(60));
    const chance = this.#chance;
    if (mended !== undefined) mended.wrongMs = chance.between(-4_000, 4_000);
    else if ((wrong.length + 1) * 2 < this.#voters.length) {
      const byMs = chance.pick([45_000, 3_600_000, 86_400_000, 400 * 86_400_000]);
      const who = chance.percent(60) && this.#leader !== undefined ? this.#leader : chance.pick(this.#voters);
      who.wrongMs = chance.percent(50) ? byMs : -byMs;
    } else return;
    this.jumps += 1;
  }

  /** What it had proposed is in the log up to some point, and lost from there on. */
  #depose(): void {
    const leader = this.#leader!;
    this.#commit(this.#chance.between(0, this.#pending.length));
    this.#pending = [];
    this.#late = [];
    if (this.#chance.percent(50)) leader.restart();
    else leader.step({ type: 'deposed' }, this.#nowMs);
    this.#leader = undefined;
    this.#nobodyUntilMs = this.#nowMs + this.#chance.between(0, this.#scenario.gapMostMs);
  }

  #elect(): void {
    this.#term += 1;
    this.changes += 1;
    const { changePermille } = this.#scenario;
    if (changePermille > 0 && this.#chance.percent(30))
      this.#deafUntilMs = this.#nowMs + this.#chance.between(0, 120_000);
    this.#leader = this.#chance.pick(this.#voters);
    this.#feed({ type: 'elected', term: this.#term });
    this.#feed({ type: 'connected' });
    for (const voter of this.#voters) this.#feed({ type: 'node-status', status: voter.status() });
  }

  #report(node: string, messages: ReturnType<ScheduleNode['work']>): void {
    if (messages.length === 0 || this.#leader === undefined) return;
    const { bootId } = this.#voters.find(({ id }) => id === node)!.status();
    this.#feed({ type: 'node-reported', node, bootId, messages });
  }

  #feed(event: PlannerEvent): void {
    for (const effect of this.#leader!.step(event, this.#nowMs)) this.#perform(effect);
  }

  #perform(effect: PlannerEffect): void {
    if (effect.type === 'propose') {
      for (const command of effect.commands) this.#proposed(command);
      return;
    }
    if (effect.type !== 'send') return;
    const { wrongMs } = this.#voters.find(({ id }) => id === effect.node)!;
    const untilMs = this.#nowMs + this.#chance.between(0, this.#scenario.runMostMs);
    const answers = this.#nodes.get(effect.node)!.hear(effect.message, untilMs, this.#nowMs + wrongMs);
    if (effect.message.type !== 'inventory-request') return;
    const isLost = this.#nowMs < this.#deafUntilMs && effect.node !== this.#leader?.id;
    if (isLost) return;
    if (this.#chance.percent(20)) this.#late.push(() => this.#report(effect.node, answers));
    else this.#report(effect.node, answers);
  }

  #proposed(command: LedgerCommand): void {
    this.#pending.push(command);
    if (command.type !== 'start-occurrence') return;
    const { id, wrongMs } = this.#leader!;
    const offMs = Math.abs(wrongMs);
    check(
      offMs < limits.clockOffMs + slackMs,
      'schedule-clock',
      `${id} proposes ${command.type} at ${this.#text(this.#nowMs)}, its clock is wrong by ${offMs} ms`,
    );
  }

  #commit(many: number): void {
    for (const command of this.#pending.splice(0, many)) {
      this.#apply(command);
      if (command.type !== 'start-occurrence') continue;
      this.#settled.push(command);
      // Somebody proposes once more what the log has, or something before it.
      if (this.#chance.percent(this.#scenario.strayPercent)) this.#apply(this.#chance.pick(this.#settled));
    }
  }

  #apply(command: LedgerCommand): void {
    let events: LedgerEvent[] = [];
    for (const voter of this.#voters) events = applyCommand(voter.ledger, command);
    for (const event of events) {
      this.#follow(event);
      // Others make room.
      if (command.type === 'expire-job' && event.type === 'job-forgotten') this.#expired(event.key);
    }
    if (this.#leader !== undefined) this.#feed({ type: 'applied', events });
  }

  #expired(job: string): void {
    const keptMs = this.#nowMs - this.#endedMs.get(job)!;
    check(keptMs >= retentionMs, 'retention', `${job} was kept for ${keptMs} ms, not ${retentionMs}`);
  }

  #follow(event: LedgerEvent): void {
    if (event.type === 'schedule-begun') this.#begunMs = this.#nowMs;
    if (event.type === 'job-accepted') this.#open.add(event.key);
    if (event.type === 'job-ended') {
      this.#open.delete(event.key);
      this.#endedMs.set(event.key, this.#nowMs);
    }
    if (event.type !== 'occurrence-started' && event.type !== 'occurrence-skipped') return;
    const { occurrenceMs } = event;
    const at = this.#text(occurrenceMs);
    check(this.#begunMs !== undefined, 'schedule', `${at} came before the schedule has begun`);
    check(!this.started.has(occurrenceMs), 'schedule', `the occurrence of ${at} was started twice`);
    check(occurrenceMs > this.#lastMs, 'schedule', `the occurrence of ${at} came after a later one`);
    check(this.#occurrences.latest(occurrenceMs) === occurrenceMs, 'schedule', `there is no occurrence at ${at}`);
    const earlyMs = occurrenceMs - this.#nowMs;
    check(earlyMs < limits.clockOffMs + slackMs, 'schedule-clock', `the occurrence of ${at} came ${earlyMs} ms early`);
    this.#passedOver(occurrenceMs, event.type === 'occurrence-skipped' && event.reason.includes('scheduleLateMs'));
    this.#lastMs = occurrenceMs;
    if (event.type === 'occurrence-started') this.started.add(occurrenceMs);
    else this.skipped.set(occurrenceMs, event.reason);
  }

  /** Of those between the last one and this, and of this one if it is said to be too late: nobody could start them. */
  #passedOver(occurrenceMs: number, isTooLate: boolean): void {
    const fromMs = Math.max(this.#lastMs, this.#begunMs! + limits.clockOffMs);
    for (let each = this.#occurrences.next(fromMs); each !== undefined; each = this.#occurrences.next(each)) {
      if (each > occurrenceMs || (each === occurrenceMs && !isTooLate)) return;
      // A clock that is before the others, by no more than it may be, thinks that it is later.
      const leastMs = limits.scheduleLateMs - limits.clockOffMs - slackMs;
      const gap = this.#gaps.some(({ fromMs, toMs }) => fromMs <= each! + limits.clockOffMs && toMs >= each! + leastMs);
      check(gap, 'schedule', `the occurrence of ${this.#text(each)} was left out, and somebody could have started it`);
    }
  }

  /** Nothing goes wrong any more: what is open ends, and the next occurrence comes in time. */
  #calm(): void {
    for (const voter of this.#voters) voter.wrongMs = 0;
    if (this.#leader === undefined) this.#elect();
    const count = this.started.size;
    const untilMs = this.#nowMs + this.#scenario.runMostMs + 120_000;
    const next = this.#occurrences.next(untilMs)!;
    while (this.#nowMs < next + limits.scheduleLateMs + this.#scenario.runMostMs) {
      this.#nowMs += this.#untilNextLook();
      for (const answer of this.#late.splice(0)) answer();
      for (const [node, work] of this.#nodes) this.#report(node, work.work(this.#nowMs));
      this.#feed({ type: 'tick' });
      this.#commit(this.#pending.length);
    }
    const came = this.started.has(next) || this.skipped.get(next)?.includes('overlap') === true;
    check(came, 'schedule', `nothing is wrong, and the occurrence of ${this.#text(next)} did not come`);
    check(this.started.size > count || this.#scenario.overlap === 'skip', 'schedule', 'nothing was started at the end');
    this.#open.delete(key);
    const old = [...this.#open].filter((each) => {
      const job = this.#leader!.ledger.jobs.get(each);
      return (job?.occurrence?.atMs ?? 0) < this.#nowMs - 2 * this.#scenario.runMostMs - 300_000;
    });
    check(old.length === 0, 'schedule', `${old.join(', ')} did not end`);
  }

  #text(atMs: number): string {
    return new Date(atMs).toISOString();
  }
}
