import {
  type Allocation,
  blobRequesterOf,
  type Connection,
  checkIdentifier,
  type DataReference,
  encode,
  hexOf,
  type JobPhase,
  type JobSpec,
  type JobSpecInput,
  type JobState,
  jobSpec,
  MeshError,
  type NodeRow,
  type PlanAlgorithm,
  type PlanAnswer,
  type PreferencesChange,
  type PreferencesHeld,
  type ProfileRow,
  parseConnection,
  type QueryAnswer,
  type QuotaChange,
  type QuotaRow,
  type ResultOutput,
  type TaskRow,
  Topics,
  type TrustChange,
  type TrustedKey,
  type VoterSettingsAsk,
  type WhyAnswer,
} from '../contract/index.ts';
import { BlobClient } from '../data/blob-client.ts';
import type { TransferOptions } from '../data/blob-upload.ts';
import { randomOctets } from '../data/host.ts';
import { saveFile } from '../data/local-files.ts';
import { specHashOf } from '../data/spec-hash.ts';
import type { BlobSource } from '../data/upload-source.ts';
import { type Forecast, readForecast } from './forecast.ts';
import { type JobGraph, specOfGraph, type TaskBundler } from './graph/prepare.ts';
import { type History, type HistoryOptions, readHistory } from './history.ts';
import { Holders } from './holders.ts';
import { type AuthorKeySource, connectBroker, openAuthorKey } from './host.ts';
import { JobFollower } from './job-follower.ts';
import { JobHandle } from './job-handle.ts';
import { makeJobId } from './job-id.ts';
import { MeshData } from './mesh-data.ts';
import { MeshLink } from './mesh-link.ts';
import { blobOf, bytesOfInline, outputValue } from './outputs.ts';
import { pause } from './pause.ts';
import { Queries } from './queries.ts';
import { type AuthorSigner, type CodeSigning, signSpec } from './sign-code.ts';
import { readLogs, type StoredLog } from './stored-logs.ts';
import { defaultTiming, type Timing } from './timing.ts';

export interface MeshClientOptions {
  /** Begins the id by which brokers and queries know this client (`sdk`). */
  readonly clientName?: string;
  readonly timing?: Partial<Timing>;
  /** What went wrong and is being mended: a connection lost, an attempt that failed. */
  readonly onProblem?: (problem: MeshError) => void;
  /**
   * Where the broker is, in place of what the connection string says: `ws://host:8083/mqtt`, `wss:`, `mqtt:` or `mqtts:`. A page
   * goes over a WebSocket in any case: on the port of a string with `ca`, else on port 8083, unless this says where.
   */
  readonly url?: string | undefined;
  /** The author's key that signs code of engine `node`. Not in a page. */
  readonly key?: AuthorKeySource;
}

export interface SubmitOptions {
  /** The same id with the same spec is the same job. One is made of the spec's name unless said. */
  readonly id?: string;
  /** Leave the spec at the broker until a node takes it (`false`): for when no node is up yet. */
  readonly retain?: boolean;
  /** Give up with `MESH_NO_LEADER` when nobody has accepted the job for this long. Waits for ever unless said. */
  readonly acceptWithinMs?: number;
  /** What is signed of code of engine `node`; and with which key, if not with that of the connection. */
  readonly signing?: CodeSigning & { readonly key?: AuthorKeySource };
}

/** How long a voter may take to give up its seat, and how often the mesh is asked whether what was wanted is so. */
const removalMs = 60_000;
const askAgainMs = 250;

/** Rows that the leader gave, and how many it left out. */
export interface Rows<T> {
  readonly rows: readonly T[];
  readonly truncated: number;
}
export type Voters = Pick<QueryAnswer & { query: 'voters' }, 'term' | 'wallMs' | 'voters' | 'settings' | 'candidates'>;

export interface JobDetails {
  readonly state: JobState;
  readonly tasks: readonly TaskRow[];
  readonly truncated: number;
}

/**
 * Connects to a mesh. Throws `MESH_CONFIG_INVALID`, `MESH_UNREACHABLE` or `MESH_NOT_AUTHORIZED`, and `MESH_KEY_UNKNOWN` for a `key`
 * that is not there; a connection that is lost later comes back by itself.
 */
export async function connectMesh(
  connection: string | Connection,
  options: MeshClientOptions = {},
): Promise<MeshClient> {
  const parsed = typeof connection === 'string' ? parseConnection(connection) : connection;
  const timing = { ...defaultTiming, ...options.timing };
  const signer = options.key === undefined ? undefined : openAuthorKey(options.key);
  const link = await MeshLink.open({
    connection: parsed,
    clientId: checkIdentifier(`${options.clientName ?? 'sdk'}-${hexOf(randomOctets(6))}`, 'client name'),
    timing,
    random: Math.random,
    onProblem: options.onProblem ?? (() => undefined),
    ...(options.url === undefined ? {} : { url: options.url }),
    connect: connectBroker,
  });
  return new MeshClient(parsed, link, timing, options, signer);
}

/** A mesh, from the outside: jobs, nodes, blobs. */
export class MeshClient {
  readonly connection: Connection;
  /** Blobs: what jobs read, and what they give when it is large. */
  readonly data: MeshData;
  readonly #signer: AuthorSigner | undefined;
  readonly #link: MeshLink;
  readonly #topics: Topics;
  readonly #timing: Timing;
  readonly #queries: Queries;
  readonly #holders: Holders;
  readonly #blobs: BlobClient;
  readonly #followers = new Set<JobFollower>();

  constructor(
    connection: Connection,
    link: MeshLink,
    timing: Timing,
    options: MeshClientOptions,
    signer: AuthorSigner | undefined,
  ) {
    this.#signer = signer;
    this.connection = connection;
    this.#link = link;
    this.#timing = timing;
    this.#topics = new Topics(connection.mesh);
    this.#queries = new Queries(link, this.#topics, connection.account, timing);
    this.#holders = new Holders(link, this.#topics, timing);
    this.#blobs = new BlobClient({
      transport: () => link.transport,
      topics: this.#topics,
      requester: blobRequesterOf(connection.account, hexOf(randomOctets(6))),
      holders: () => this.#holders.names,
      ...(options.onProblem === undefined ? {} : { onProblem: options.onProblem }),
    });
    link.onReconnect(() => this.#blobs.reconnected());
    this.data = new MeshData(this, this.#holders, this.#blobs);
  }

  get account(): string {
    return this.connection.account;
  }

  /** Whether there is a connection now; when not, it is being made. */
  get connected(): boolean {
    return this.#link.transport !== undefined;
  }

  /**
   * Publishes a job, again and again until the mesh has accepted or refused it. Code of engine `node` is signed, if it is not yet.
   * Throws at once: `MESH_SPEC_INVALID`, `MESH_LIMIT_EXCEEDED`, and `MESH_CODE_UNSIGNED` when there is no key to sign with.
   */
  submit(spec: JobSpecInput, options: SubmitOptions = {}): JobHandle {
    const parsed = this.sign(spec, options.signing);
    const job = checkIdentifier(
      options.id ?? makeJobId(parsed.name, Math.random, parsed.schedule !== undefined),
      'job id',
    );
    const submission = {
      payload: encode(parsed, 'json'),
      specHash: specHashOf(parsed),
      retain: options.retain ?? false,
    };
    const { acceptWithinMs } = options;
    return this.#follow(job, { submission, ...(acceptWithinMs === undefined ? {} : { acceptWithinMs }) });
  }

  /**
   * The spec, checked, with all code of engine `node` signed that is not yet: as `submit` publishes it, from here or by somebody who
   * has no key. Throws as `submit` does, and `MESH_KEY_UNKNOWN` for a file that is not there.
   */
  sign(spec: JobSpecInput, { key, ...signing }: CodeSigning & { readonly key?: AuthorKeySource } = {}): JobSpec {
    return signSpec(checkSpec(spec), key === undefined ? this.#signer : openAuthorKey(key), signing);
  }

  /** A job that exists. What waits for it throws `MESH_JOB_UNKNOWN` when it does not. */
  follow(job: string): JobHandle {
    return this.#follow(checkIdentifier(job, 'job id'), {});
  }

  /** The account's jobs. Throws `MESH_NO_LEADER`. */
  async jobs(filter: { readonly phase?: JobPhase } = {}): Promise<Rows<JobState>> {
    const { jobs, truncated } = await this.#queries.ask({ query: 'jobs', ...filter });
    return { rows: jobs, truncated };
  }

  /** One job and its tasks. Throws `MESH_JOB_UNKNOWN` or `MESH_NO_LEADER`. */
  async job(job: string): Promise<JobDetails> {
    const { state, tasks, truncated } = await this.#queries.ask({ query: 'job', job: checkIdentifier(job, 'job id') });
    return { state, tasks, truncated };
  }

  /**
   * What was logged by the attempts that have ended, of all tasks or of one: the last `logTailBytes` of each. Kept with the job.
   * Throws `MESH_JOB_UNKNOWN`, `MESH_TASK_UNKNOWN`, `MESH_NO_LEADER` or what `data.get` throws.
   */
  async *logs(job: string, options: { readonly task?: string } = {}): AsyncGenerator<StoredLog, void, undefined> {
    const which = { job: checkIdentifier(job, 'job id'), ...options };
    await this.#holders.known();
    yield* readLogs(this.#queries, this.#blobs, which);
  }

  /**
   * Why a task is where it is, or what a job waits for; `name` is a task (of `job`, else of the newest job with such a task) or
   * a job. Throws `MESH_TASK_UNKNOWN` or `MESH_NO_LEADER`.
   */
  async why(name: string, job?: string): Promise<WhyAnswer> {
    const ask = { query: 'why' as const, name, ...(job === undefined ? {} : { job }) };
    return (await this.#queries.ask(ask)).why;
  }

  /**
   * How a job would go if it were submitted now, or, by its id, how what is left of one will go. Blobs that a spec names need not be in the mesh.
   * Throws what `submit` throws at once, `MESH_JOB_UNKNOWN`, `MESH_NO_LEADER`, or `MESH_LIMIT_EXCEEDED`, which says when to ask again.
   */
  async plan(what: JobSpecInput | string, algorithm?: PlanAlgorithm): Promise<PlanAnswer> {
    const which = typeof what === 'string' ? { job: checkIdentifier(what, 'job id') } : { spec: this.sign(what) };
    return (await this.#queries.ask({ query: 'plan', ...which, ...(algorithm === undefined ? {} : { algorithm }) }))
      .plan;
  }

  /**
   * What tasks take, by what finished ones took: of the account's code, then of other code of each category; of all unless `name` says
   * otherwise: the beginning of a code's name, a stage or a category. Throws `MESH_NO_LEADER`.
   */
  async profiles(name?: string): Promise<Rows<ProfileRow>> {
    const ask = { query: 'profiles' as const, ...(name === undefined ? {} : { name }) };
    const { profiles, truncated } = await this.#queries.ask(ask);
    return { rows: profiles, truncated };
  }

  /** The nodes that the leader knows. Throws `MESH_NO_LEADER`. */
  async nodes(): Promise<Rows<NodeRow>> {
    const { nodes, truncated } = await this.#queries.ask({ query: 'nodes' });
    return { rows: nodes, truncated };
  }

  /**
   * What a node has measured, the oldest first; the node answers, the leader passes it on. Throws `MESH_NODE_UNKNOWN`,
   * `MESH_NODE_AWAY` or `MESH_NO_LEADER`.
   */
  history(node: string, options: HistoryOptions): Promise<History> {
    return readHistory(this.#queries, checkIdentifier(node, 'node'), options);
  }

  /**
   * What a node will have to spare, as the leader expects it; undefined when nobody has forecast anything of it. Throws
   * `MESH_NOT_AUTHORIZED`, `MESH_NO_LEADER` or `MESH_UNREACHABLE`.
   */
  forecast(node: string): Promise<Forecast | undefined> {
    return readForecast(this.#link, this.#topics.forecast(checkIdentifier(node, 'node')), this.#queries);
  }

  /**
   * Tells a node what its owner wants; what is left out stays as it is, and null lifts a limit. Resolves to what holds then: the
   * node has the last word. Throws `MESH_NODE_UNKNOWN`, `MESH_NODE_AWAY` or `MESH_NO_LEADER`.
   */
  async setPreferences(node: string, change: PreferencesChange): Promise<PreferencesHeld> {
    const ask = { query: 'preferences', node: checkIdentifier(node, 'node'), change } as const;
    return (await this.#queries.ask(ask)).preferences;
  }

  /**
   * Changes whose signed code a node runs on engine `node`; with an empty change, asks. Resolves to those that it trusts then.
   * Throws `MESH_NOT_AUTHORIZED` unless the account owns the mesh, `MESH_NODE_UNKNOWN`, `MESH_NODE_AWAY` or `MESH_NO_LEADER`.
   */
  async trust(node: string, change: TrustChange): Promise<TrustedKey[]> {
    const ask = { query: 'trust', node: checkIdentifier(node, 'node'), change } as const;
    return (await this.#queries.ask(ask)).keys;
  }

  /**
   * Gives a running task of the account another share of its node. Resolves to what it has then, once it has it. Throws
   * `MESH_TASK_NOT_RUNNING`, `MESH_NODE_FULL`, `MESH_LIMIT_EXCEEDED`, `MESH_NODE_AWAY` or `MESH_NO_LEADER`.
   */
  async reallocate(job: string, task: string, allocation: Allocation): Promise<Required<Allocation>> {
    const ask = { query: 'reallocate', job, task, ...allocation } as const;
    const { cpuShare, memoryBytes, slots } = await this.#queries.ask<'reallocate'>(ask);
    return { cpuShare, memoryBytes, slots };
  }

  /** What the account of this connection has, and how much it may have. Throws `MESH_NO_LEADER`. */
  async quota(): Promise<QuotaRow> {
    return (await this.#queries.ask({ query: 'quota' })).quota;
  }

  /**
   * The same for all accounts that have anything in the mesh, or quotas of their own. Throws `MESH_NOT_AUTHORIZED` unless the
   * account owns the mesh, and `MESH_NO_LEADER`.
   */
  async quotas(): Promise<Rows<QuotaRow>> {
    const { quotas, truncated } = await this.#queries.ask({ query: 'quotas' });
    return { rows: quotas, truncated };
  }

  /**
   * Gives an account another quota: what is left out stays, null goes back to what every account has; with an empty change, asks.
   * Resolves once the mesh remembers it; nothing that the account has is taken away. The mesh does not know which accounts there
   * are: any name is taken. Throws `MESH_NOT_AUTHORIZED` unless the account of this connection owns the mesh,
   * `MESH_LIMIT_EXCEEDED`, `MESH_NO_LEADER` (also when too few voters answer for it to be decided).
   */
  async setQuota(account: string, change: QuotaChange): Promise<QuotaRow> {
    const ask = { query: 'set-quota', account: checkIdentifier(account, 'account'), change } as const;
    const endMs = performance.now() + this.#timing.queryTimeoutMs;
    for (;;) {
      const { quota } = await this.#queries.ask(ask);
      if (isSo(quota, change)) return quota;
      if (performance.now() > endMs)
        throw new MeshError('MESH_NO_LEADER', 'a leader answers, and nothing is decided', {
          mend: 'are most of the voters there? See `foremesh voters`; the change may still come to be',
        });
      await pause(askAgainMs);
    }
  }

  /** Who votes, how far each is, and what was asked for. Throws `MESH_NO_LEADER`. */
  async voters(): Promise<Voters> {
    const { term, wallMs, voters, settings, candidates } = await this.#queries.ask({ query: 'voters' });
    return { term, ...(wallMs === undefined ? {} : { wallMs }), voters, settings, candidates };
  }

  /** Resolves when the mesh remembers it; the voters change by and by. Throws `MESH_NO_LEADER`, `MESH_NOT_AUTHORIZED`. */
  async setVoters(wanted: VoterSettingsAsk): Promise<Voters> {
    for (;;) {
      await this.#queries.ask({ query: 'set-voters', settings: wanted });
      const voters = await this.voters();
      const keys = Object.keys(wanted) as (keyof VoterSettingsAsk)[];
      if (keys.every((key) => voters.settings[key] === wanted[key])) return voters;
    }
  }

  /**
   * Takes a node out of the mesh; resolves when the log says so. A voter gives up its seat first. Throws
   * `MESH_NODE_UNKNOWN`, `MESH_NODE_LEADS`, `MESH_NO_LEADER`, `MESH_NODE_AWAY` (too few voters answer for it to be decided).
   */
  async removeNode(node: string): Promise<void> {
    const endMs = performance.now() + removalMs;
    while (!(await this.#queries.ask({ query: 'remove-node', node })).isGone) {
      if (performance.now() > endMs) {
        throw new MeshError('MESH_NODE_AWAY', `"${node}" votes, and its seat could not be taken yet`, {
          mend: 'are most of the other voters there? See `foremesh voters`, and ask again',
        });
      }
      await pause(askAgainMs);
    }
  }

  /**
   * The spec of a job that was written as calls (`lines(...).map(...).reduce(...)`): code is bundled, what is large is put into
   * the mesh. `bundler` is the package `@foremesh/author`; without it (in a page, say) functions travel as they are, and
   * modules cannot be used. Throws `MESH_TASK_CODE_INVALID` for code that could not run elsewhere, `MESH_NOT_INSTALLED`, and what `put` throws.
   */
  prepare(graph: JobGraph, bundler?: TaskBundler): Promise<JobSpecInput> {
    return specOfGraph(graph, bundler, (source) => this.put(source));
  }

  /**
   * Brings bytes, a file (by its path), a stream or a `Blob` to the mesh; durable when it resolves. What the mesh has already is
   * not sent again. Throws `MESH_NO_LEADER` (nobody says where blobs are put) and what `BlobClient.put` throws.
   */
  async put(source: BlobSource, options: TransferOptions = {}): Promise<DataReference> {
    await this.#holders.known();
    return this.#blobs.put(source, options);
  }

  /** An output of a result: the JSON value, a string or bytes. */
  async read(output: ResultOutput, options: TransferOptions = {}): Promise<unknown> {
    const blob = blobOf(output);
    if (blob === undefined) return outputValue(output);
    await this.#holders.known();
    return outputValue(output, await this.#blobs.get(blob, options));
  }

  /** An output of a result as a file: JSON and text in UTF-8, bytes as they are. The file appears when it is complete. */
  async download(output: ResultOutput, file: string, options: TransferOptions = {}): Promise<void> {
    if ('blob' in output) {
      await this.#holders.known();
      return this.#blobs.download({ blob: output.blob, sizeBytes: output.sizeBytes }, file, options);
    }
    await saveFile(once(bytesOfInline(output)), file);
  }

  /** Ends the connection; what still waits throws `MESH_UNREACHABLE`. Jobs go on. */
  async close(): Promise<void> {
    for (const follower of this.#followers) follower.close();
    this.#queries.close();
    await this.#blobs.close();
    await this.#link.close();
  }

  #follow(
    job: string,
    more: Pick<ConstructorParameters<typeof JobFollower>[0], 'submission' | 'acceptWithinMs'>,
  ): JobHandle {
    const follower = new JobFollower({
      link: this.#link,
      topics: this.#topics,
      queries: this.#queries,
      timing: this.#timing,
      account: this.account,
      job,
      ...more,
    });
    this.#followers.add(follower);
    follower.settled().then(() => this.#followers.delete(follower));
    return new JobHandle(this.account, job, follower, this.#link, this.#topics, (output) => this.read(output));
  }
}

function isSo(quota: QuotaRow, change: QuotaChange): boolean {
  return (Object.keys(change) as (keyof QuotaChange)[]).every((name) => {
    const wanted = change[name];
    const { isOwn, most } = quota[name];
    return wanted === undefined || (wanted === null ? !isOwn : isOwn && most === wanted);
  });
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function checkSpec(spec: JobSpecInput): JobSpec {
  const parsed = jobSpec.safeParse(spec);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new MeshError('MESH_SPEC_INVALID', issue?.message ?? 'the spec is wrong', {
    where: issue?.path.map(String).join('.') || '(root)',
  });
}
