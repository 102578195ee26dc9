import { setTimeout } from 'node:timers/promises';
import type { Logger } from 'pino';
import {
  type Assign,
  asMeshError,
  bytesOf,
  type DataReference,
  encode,
  type InboxEnvelope,
  type JobLogs,
  limits,
  type MeshError,
  type OutboxMessage,
  type Outcome,
  type Output,
  parseAttemptKey,
  type Topics,
} from '../contract/index.ts';
import {
  type AgentEffect,
  type AgentEvent,
  type AgentOffer,
  type AgentState,
  createAgent,
  stepAgent,
} from '../core/index.ts';
import type { BlobClient } from '../data/index.ts';
import { type EngineOutcome, EnginePools, type EngineRequest } from '../engines/index.ts';
import { nodeOutbox, type Outbox } from '../wire/index.ts';
import type { CodeGate } from './authors/code-gate.ts';
import type { Home } from './home.ts';
import { LogTail } from './log-tail.ts';
import { OutcomeJournal } from './outcome-journal.ts';
import type { Allowance } from './owner/owner-limits.ts';
import { processTimers } from './process-timers.ts';
import type { MeshLoad } from './sampler.ts';
import type { Publisher } from './shortcut.ts';
import { TaskLoader } from './task-loader.ts';

export interface AgentDriverOptions {
  readonly node: string;
  readonly bootId: string;
  readonly home: Home;
  readonly offer: AgentOffer;
  readonly topics: Topics;
  readonly blobs: BlobClient;
  readonly transport: () => Publisher | undefined;
  readonly log: Logger;
  /** The highest term that was proven to this node. */
  readonly term: number;
  /** Returns when the term is on disk. Throws `MESH_STORAGE_FAILED`: then nothing of it may be done. */
  readonly persistTerm: (term: number) => void;
  /** The disk failed: nothing more can be promised, the process must end. */
  readonly onFatal: (error: MeshError) => void;
  /** What code of engine `node` has to pass. */
  readonly gate: CodeGate;
  /** Its owner lets tasks of engine `node` run without walls where the system has none. */
  readonly unsandboxed?: boolean;
  /** The sandbox processes of an idle node end after this. */
  readonly poolIdleMs?: number;
}

/** Without its log an outcome waits no longer for a holder: it counts, the log is for reading. */
const logPatienceMs = 5_000;

/** Drives a node's agent: fetches, runs, keeps outcomes on disk, reports. */
export class AgentDriver {
  readonly #options: AgentDriverOptions;
  readonly #state: AgentState;
  readonly #journal: OutcomeJournal;
  readonly #loader: TaskLoader;
  readonly #pool: EnginePools;
  readonly #outbox: Outbox<OutboxMessage>;
  /** What is being fetched, and what is fetched and waits for the engine. */
  readonly #fetches = new Map<string, AbortController>();
  readonly #loaded = new Map<string, EngineRequest>();
  /** Assignments in the engine, or whose output is on its way to a holder. */
  readonly #assigned = new Map<string, { readonly assign: Assign; readonly tail: LogTail }>();
  #closed = false;
  #confinementTold = false;

  constructor(options: AgentDriverOptions) {
    const { node, bootId, home, offer, topics, blobs } = options;
    this.#options = options;
    this.#journal = new OutcomeJournal(home.outcomesFile);
    this.#state = createAgent(node, offer, { term: options.term, outcomes: this.#journal.held() });
    this.#loader = new TaskLoader(blobs);
    const notSent = (error: unknown) =>
      options.log.debug({ error: String(error) }, 'report not sent; the leader will ask');
    this.#outbox = nodeOutbox({
      from: node,
      bootId,
      term: () => this.#state.term,
      timers: processTimers,
      publish: (payload) =>
        void options.transport()?.publish(topics.nodeOutbox(node), payload, { qos: 1 }).catch(notSent),
      onProblem: notSent,
    });
    this.#pool = new EnginePools(
      {
        node: { unsandboxed: options.unsandboxed === true },
        slots: offer.slots,
        queue: offer.queue,
        ...(options.poolIdleMs === undefined ? {} : { idleMs: options.poolIdleMs }),
      },
      {
        started: (attempt) => {
          this.#tellConfinement();
          this.#step({ type: 'started', attempt });
        },
        progress: (attempt, fraction) => this.#step({ type: 'progressed', attempt, fraction }),
        log: (attempt, lines) => {
          this.#assigned.get(attempt)?.tail.add(lines);
          this.#publishLogs(attempt, lines);
        },
        ended: (attempt, outcome) => void this.#ended(attempt, outcome),
      },
    );
  }

  get pool(): EnginePools {
    return this.#pool;
  }

  get isBusy(): boolean {
    return this.#state.held.size > 0;
  }

  meshLoad(): MeshLoad {
    return this.#pool.load();
  }

  /** What the owner of the device lets it have now. */
  obey({ agent, stance, reason }: Omit<Allowance, 'status'>): void {
    const offer = { engines: this.#state.offer.engines, ...agent };
    this.#pool.resize(offer.slots, offer.queue);
    this.#step({ type: 'owner-limits', offer, stance, reason });
  }

  /** Its owner does not trust these authors any more: what is theirs goes, be it running or not. */
  distrust(keys: readonly string[]): void {
    const theirs = ({ code }: Assign) => code.manifest !== undefined && keys.includes(code.manifest.key);
    const attempts = [...this.#state.held].filter(([, { assign }]) => theirs(assign)).map(([attempt]) => attempt);
    if (attempts.length > 0)
      this.#step({ type: 'forbidden', attempts, reason: 'its owner does not trust the author of the code any more' });
  }

  /** The device needs its memory: the newest that runs goes. */
  press(reason: string): void {
    this.#step({ type: 'pressed', reason });
  }

  /** One envelope from the inbox, of a leader that has shown that it leads. */
  hear({ term, messages }: InboxEnvelope): void {
    this.#step({ type: 'inbox', term, messages });
  }

  /** What is not the agent's own goes in the same envelopes. */
  report(message: OutboxMessage): void {
    this.#outbox.push(message);
  }

  #step(event: AgentEvent): void {
    if (this.#closed) return;
    for (const effect of stepAgent(this.#state, event)) this.#perform(effect);
  }

  #perform(effect: AgentEffect): void {
    switch (effect.type) {
      case 'persist-term':
        this.#persistTerm(effect.term);
        return;
      case 'fetch':
        void this.#fetch(effect.assign);
        return;
      case 'run': {
        const { attempt } = effect.assign;
        const request = this.#loaded.get(attempt)!;
        this.#loaded.delete(attempt);
        this.#assigned.set(attempt, { assign: effect.assign, tail: new LogTail() });
        this.#pool.run(request);
        return;
      }
      case 'stop':
        this.#fetches.get(effect.attempt)?.abort(new Error(effect.reason));
        this.#loaded.delete(effect.attempt);
        if (this.#assigned.has(effect.attempt)) this.#pool.cancel(effect.attempt, effect.reason);
        return;
      case 'place-checkpoint':
        throw new Error(`${effect.attempt} has made a checkpoint, and no engine of this release makes any`);
      case 'keep-outcome':
        this.#journaling(() => this.#journal.keep(effect.outcome));
        return;
      case 'forget-outcomes':
        this.#journaling(() => this.#journal.forget(effect.attempts));
        return;
      case 'report':
        this.#outbox.push(
          effect.message.type === 'inventory' ? { ...effect.message, clockMs: Date.now() } : effect.message,
        );
        return;
      case 'reallocate':
        this.#pool.reallocate(effect.attempt, effect.allocation);
    }
  }

  /** Without the fence on disk nothing of the new term may be done: the node ends. */
  #persistTerm(term: number): void {
    try {
      this.#options.persistTerm(term);
    } catch (error) {
      this.#closed = true;
      this.#options.onFatal(asMeshError(error, 'MESH_STORAGE_FAILED'));
      throw error;
    }
  }

  /** A full disk costs no outcome while this process lives; should it die too, the task runs again. */
  #journaling(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#options.log.warn(asMeshError(error, 'MESH_STORAGE_FAILED').toLine());
    }
  }

  async #fetch(assign: Assign): Promise<void> {
    const { attempt } = assign;
    const abort = new AbortController();
    this.#fetches.set(attempt, abort);
    try {
      const isNode = assign.code.engine === 'node';
      const manifest = isNode ? await this.#options.gate.admit(assign) : undefined;
      const request = await this.#loader.load(assign, abort.signal);
      if (abort.signal.aborted) return;
      const network = manifest?.capabilities.includes('network') === true;
      this.#loaded.set(attempt, network ? { ...request, network } : request);
      this.#step({ type: 'fetched', attempt });
    } catch (error) {
      if (abort.signal.aborted) return;
      const failure = asMeshError(error, 'MESH_BLOB_MISSING');
      this.#step({ type: 'fetch-failed', attempt, problem: { code: failure.code, message: failure.toLine() } });
    } finally {
      if (this.#fetches.get(attempt) === abort) this.#fetches.delete(attempt);
    }
  }

  async #ended(attempt: string, outcome: EngineOutcome): Promise<void> {
    const assigned = this.#assigned.get(attempt);
    if (assigned === undefined || this.#closed) return;
    const { assign, tail } = assigned;
    // Of one that was cancelled nobody will ask.
    const placed = this.#state.held.has(attempt) ? this.#placeLog(attempt, tail) : undefined;
    let reported: Outcome;
    if (outcome.type === 'failed') {
      reported = { ...outcome, attempt, message: outcome.message.slice(0, 4_000) };
    } else {
      const { encoding, bytes } = outcome.output;
      const output = await this.#place(encoding, bytes, assign);
      if (output === undefined) return;
      reported = { type: 'done', attempt, usage: outcome.usage, output };
    }
    const log = await placed;
    this.#assigned.delete(attempt);
    this.#step({ type: 'ended', outcome: log === undefined ? reported : { ...reported, log } });
  }

  /** The end of what it has logged, in a holder; undefined when it has logged nothing, or no holder is near. */
  async #placeLog(attempt: string, tail: LogTail): Promise<DataReference | undefined> {
    const { blobs, transport, log } = this.#options;
    const content = tail.content();
    if (content === undefined || transport() === undefined) return undefined;
    const given = new AbortController();
    try {
      return await Promise.race([
        blobs.put(content, { signal: given.signal }),
        setTimeout(logPatienceMs, undefined, { signal: given.signal, ref: false }),
      ]);
    } catch (error) {
      log.info({ attempt }, `its log is not kept: ${asMeshError(error, 'MESH_UNREACHABLE').toLine()}`);
      return undefined;
    } finally {
      given.abort();
    }
  }

  /** Small outputs travel inline; a larger one is durable in a holder before anyone hears of it (I5), however long that takes. */
  async #place(encoding: Output['encoding'], bytes: Uint8Array, assign: Assign): Promise<Output | undefined> {
    if (bytes.length <= assign.inlineOutputBytes) return { encoding, inline: bytes };
    while (!this.#closed) {
      try {
        return { encoding, ...(await this.#options.blobs.put(bytes)) };
      } catch (error) {
        const failure: MeshError = asMeshError(error, 'MESH_UNREACHABLE');
        this.#options.log.warn({ attempt: assign.attempt }, `output not stored, trying again: ${failure.toLine()}`);
        if (failure.code !== 'MESH_UNREACHABLE') {
          const { code } = failure;
          const usage = { cpuMs: 0, wallMs: 0, peakMemoryBytes: 0, inputBytes: 0, outputBytes: bytes.length };
          const message = failure.toLine().slice(0, 4_000);
          this.#assigned.delete(assign.attempt);
          this.#step({
            type: 'ended',
            outcome: { type: 'failed', attempt: assign.attempt, fault: 'node', code, message, usage },
          });
          return undefined;
        }
      }
    }
    return undefined;
  }

  /** Once: what the system really allows of the sandbox, which its owner should know. */
  #tellConfinement(): void {
    if (this.#confinementTold) return;
    this.#confinementTold = true;
    const confinement = this.#pool.describe();
    const whole =
      confinement.network === 'isolated' && confinement.privileges === 'dropped' && confinement.notes.length === 0;
    this.#options.log[whole ? 'info' : 'warn'](
      confinement,
      whole ? 'tasks run confined' : 'tasks run less confined than they could be',
    );
  }

  #publishLogs(attempt: string, lines: readonly string[]): void {
    const { account, job, task } = parseAttemptKey(attempt);
    const { topics, node, log } = this.#options;
    const topic = topics.jobLogs(account, job);
    for (const some of inPayloads(lines)) {
      const message: JobLogs = { v: 1, node, task, attempt, lines: some };
      this.#options
        .transport()
        ?.publish(topic, encode(message, 'json'), { qos: 0 })
        .catch((error: unknown) => log.debug({ error: String(error) }, 'log lines not sent'));
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const abort of this.#fetches.values()) abort.abort(new Error('the node stops'));
    await this.#pool.close();
    this.#journal.close();
  }
}

/** A start is no news once the end is. */

/** As many lines at a time as one payload takes: as JSON, a character may take six bytes. */
function* inPayloads(lines: readonly string[]): Generator<string[]> {
  let some: string[] = [];
  let bytes = 0;
  for (const line of lines) {
    const more = bytesOf(JSON.stringify(line)).length;
    if (some.length > 0 && (bytes + more > limits.payloadBytes / 2 || some.length >= limits.logLinesPerTask)) {
      yield some;
      some = [];
      bytes = 0;
    }
    some.push(line);
    bytes += more;
  }
  if (some.length > 0) yield some;
}
