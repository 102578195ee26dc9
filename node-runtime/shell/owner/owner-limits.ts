import type { Logger } from 'pino';
import {
  asMeshError,
  type InboxMessage,
  limits,
  type NodeStatus,
  type OfferChange,
  type OutboxMessage,
  type PreferencesChange,
  type PreferencesHeld,
} from '../../contract/index.ts';
import {
  type AgentOffer,
  createJudge,
  judge,
  type LocalTime,
  type OwnerVerdict,
  offersAhead,
  type Stance,
} from '../../core/index.ts';
import type { Home } from '../home.ts';
import { offerOf } from '../offer.ts';
import { type MeshLoad, Sampler } from '../sampler.ts';
import type { DeviceScope } from '../scope/device-scope.ts';
import { VitalsReader } from '../vitals.ts';
import { changePreferences, readPreferences } from './preferences-file.ts';
import { Traffic } from './traffic.ts';

export interface OwnerLimitsOptions {
  readonly home: Home;
  readonly scope: DeviceScope;
  /** Attempts at once; by default one per core of the share. */
  readonly slots?: number | undefined;
  /** Where sensors are read: `/` unless said. */
  readonly sensors?: string | undefined;
  /** What this node has sent and received since it started. */
  readonly trafficBytes: () => number;
  readonly isBusy: () => boolean;
  readonly meshLoad: () => MeshLoad;
  readonly log: Logger;
}

/** What the owner lets the mesh have at this moment. */
export interface Allowance {
  readonly agent: Omit<AgentOffer, 'engines'>;
  readonly stance: Stance;
  readonly reason: string;
  readonly status: Pick<
    NodeStatus,
    'cores' | 'memoryBytes' | 'share' | 'slots' | 'queue' | 'offeredMemoryBytes' | 'withheld' | 'onlyLabels'
  >;
}

export interface Obedience {
  /** Before anything is given back: whoever hears of that must know that nothing else is taken. */
  readonly allow: (allowance: Allowance) => void;
  readonly press: (reason: string) => void;
  /** For all tasks together, in cores. */
  readonly limitCpu: (cores: number) => void;
}

/** How often a device is looked at while it works for the mesh, and while it does not. */
const lookMs = { busy: 1_000, idle: 5_000 };

/** The owner's hand over what the node does: what he wants, measured against what is, told to whoever must obey. */
export class OwnerLimits {
  readonly #options: OwnerLimitsOptions;
  readonly #vitals: VitalsReader;
  readonly #sampler: Sampler;
  readonly #traffic: Traffic;
  readonly #judge = createJudge();
  #held: PreferencesHeld;
  #verdict!: OwnerVerdict;
  #obedience: Obedience | undefined;
  #told = '';
  #lookedMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  /** Changes and looks, one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(options: OwnerLimitsOptions, held: PreferencesHeld, traffic: Traffic) {
    const { home, sensors, scope } = options;
    this.#options = options;
    this.#held = held;
    this.#traffic = traffic;
    this.#vitals = new VitalsReader({ directory: home.directory, ...(sensors === undefined ? {} : { root: sensors }) });
    this.#sampler = new Sampler(scope.machine, options.meshLoad);
  }

  /**
   * Reads what the owner wants, and looks at the device once. Throws `MESH_CONFIG_INVALID`, `MESH_STORAGE_FAILED`.
   *
   * @param said at this start; it stays said
   */
  static async open(options: OwnerLimitsOptions, said: PreferencesChange): Promise<OwnerLimits> {
    const before = await readPreferences(options.home);
    const held = await changePreferences(options.home, before, 'device', said);
    const opened = new OwnerLimits(options, held, await Traffic.open(options.home.trafficFile));
    await opened.#judgeNow();
    return opened;
  }

  get allowance(): Allowance {
    const { scope, slots } = this.#options;
    const { holds } = this.#held;
    const {
      cores,
      memoryBytes,
      share,
      slots: atOnce,
      queue,
      offeredMemoryBytes,
      ...prefetch
    } = offerOf(scope, {
      share: holds.share,
      slots,
      memoryFreeLeastBytes: holds.memoryFreeLeastBytes,
    });
    const { stance, withheld } = this.#verdict;
    const { onlyLabels } = holds;
    const only = onlyLabels === undefined ? {} : { onlyLabels };
    return {
      agent: { slots: atOnce, queue, memoryBytes: offeredMemoryBytes, ...prefetch, ...only },
      stance,
      reason: withheld?.text ?? '',
      status: {
        ...{ cores, memoryBytes, share, queue, offeredMemoryBytes, ...only },
        slots: stance === 'takes' ? atOnce : 0,
        ...(withheld === undefined ? {} : { withheld }),
      },
    };
  }

  /** What hours and budget will change, from now on; the budget as if this node went on to send and receive as in the last hour. */
  ahead(): OfferChange[] {
    const { device, mesh, holds } = this.#held;
    if ((device.hours ?? mesh.hours ?? holds.networkMostBytesPerDay) === undefined) return [];
    const wallMs = Date.now();
    const most = holds.networkMostBytesPerDay ?? Number.POSITIVE_INFINITY;
    const moments = this.#traffic
      .ahead(wallMs, limits.offerAheadMs, most)
      .map(({ afterMs, bytes }) => ({ afterMs, networkBytesOfDay: bytes, ...localTime(wallMs + afterMs) }));
    return offersAhead(this.#held, this.#verdict, this.allowance.agent.slots, moments);
  }

  /** From now on whoever must obey hears of every change; of what holds now at once. */
  start(obedience: Obedience): void {
    this.#obedience = obedience;
    this.#tell();
    this.#timer = setInterval(() => {
      const isDue = performance.now() - this.#lookedMs >= lookMs.idle - lookMs.busy / 2;
      if (isDue || this.#options.isBusy()) void this.#inTurn(() => this.#look()).catch((error) => this.#warn(error));
    }, lookMs.busy);
  }

  /** What the owner wants, said on the machine itself or through the mesh. Resolves when it is on disk and obeyed. */
  change(layer: 'device' | 'mesh', change: PreferencesChange): Promise<PreferencesHeld> {
    return this.#inTurn(async () => {
      this.#held = await changePreferences(this.#options.home, this.#held, layer, change);
      await this.#look();
      return this.#held;
    });
  }

  /** Through the mesh; all else is not for us. */
  async hear(message: InboxMessage, answer: (message: OutboxMessage) => void): Promise<void> {
    if (message.type !== 'preferences-request') return;
    const { request, change } = message;
    try {
      answer({ type: 'preferences', request, preferences: await this.change('mesh', change) });
    } catch (error) {
      const { code, message: text } = asMeshError(error, 'MESH_STORAGE_FAILED');
      answer({ type: 'request-failed', request, problem: { code, message: text } });
    }
  }

  async #look(): Promise<void> {
    await this.#judgeNow();
    this.#tell();
    if (this.#verdict.pressed) this.#obedience?.press(this.#verdict.withheld?.text ?? 'the device needs its memory');
    await this.#saveTraffic(performance.now());
  }

  async #judgeNow(): Promise<void> {
    const { scope, trafficBytes } = this.#options;
    const { temperatureMostCelsius, batteryLeastShare } = this.#held.holds;
    // Sensors are many files: they are read for whoever has a limit for them.
    const isSensed = temperatureMostCelsius !== undefined || batteryLeastShare !== undefined;
    const [vitals, { memoryAvailableBytes }, sample] = await Promise.all([
      isSensed ? this.#vitals.read() : undefined,
      scope.machine.read(),
      scope.machine.hasQuota === true ? this.#sampler.sample() : undefined,
    ]);
    const wallMs = Date.now();
    this.#lookedMs = performance.now();
    this.#verdict = judge(this.#judge, this.#held, {
      nowMs: this.#lookedMs,
      ...localTime(wallMs),
      temperatureCelsius: vitals?.temperatureCelsius,
      batteryShare: vitals?.batteryShare,
      memoryAvailableBytes,
      cpuBackgroundShare: sample?.cpuBackgroundShare,
      networkBytesOfDay: this.#traffic.count(trafficBytes(), wallMs),
    });
  }

  /** Without a budget nobody asks for it. */
  async #saveTraffic(nowMs: number): Promise<void> {
    if (this.#held.holds.networkMostBytesPerDay !== undefined) await this.#traffic.save(nowMs);
  }

  /** Of what changes all the time (how hot it is) nobody needs to hear. */
  #tell(): void {
    const { allowance } = this;
    const { withheld, ...status } = allowance.status;
    const { cpuFactor, cpuRoom } = this.#verdict;
    this.#obedience?.limitCpu(status.cores * Math.min(status.share * cpuFactor, cpuRoom));
    const told = JSON.stringify([allowance.agent, allowance.stance, status, withheld?.reason]);
    if (told === this.#told || this.#obedience === undefined) return;
    if (this.#told !== '') this.#options.log.info({ ...status, withheld }, 'the owner gives more or less');
    this.#told = told;
    this.#obedience.allow(allowance);
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(run);
    this.#turn = turn.catch(() => undefined); // whoever asked hears of it
    return turn;
  }

  #warn(error: unknown): void {
    this.#options.log.warn(`the owner's limits: ${(error as Error).message}`);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#turn;
    await this.#saveTraffic(Number.POSITIVE_INFINITY).catch((error: unknown) => this.#warn(error));
  }
}

/** By the clock and zone of this device. */
function localTime(wallMs: number): LocalTime {
  const wall = new Date(wallMs);
  return { weekday: wall.getDay(), minute: wall.getHours() * 60 + wall.getMinutes() };
}
