import * as z from 'zod';
import { limits } from '../limits.ts';
import { trustedKeys } from './manifest.ts';
import { offerChange, withheld } from './preferences.ts';
import { termProof } from './raft.ts';
import { count, engineName, fraction, identifier, publicKey, version } from './shared.ts';
import { votersChain } from './trust.ts';

/** What kind of machine a node runs on, for people: as its system tells it, empty where it does not. */
export const machineDescription = z.object({
  model: z.string().max(100),
  cpu: z.string().max(100),
  system: z.string().max(100),
});
export type MachineDescription = z.infer<typeof machineDescription>;

/** What `admission` of a status authenticates. No field can hold a newline. */
export function admissionStatement(meshId: string, node: string, publicKey: string): string {
  return `foremesh admission v1\n${meshId}\n${node}\n${publicKey}`;
}

/** What a node offers. `nodes/<id>/status`, retained; the last will is the same with `online: false`. */
export const nodeStatus = z.object({
  v: version,
  node: identifier,
  /** New at every start of the runtime: tells a restart from a reconnect. */
  bootId: identifier,
  /** Grows with every status of one boot; a connection's last will is above all that the connection published. */
  seq: count,
  online: z.boolean(),
  release: z.string().max(40),
  arch: z.string().max(20),
  platform: z.string().max(20),
  machine: machineDescription.optional(),
  /** What it has, or what its device scope lets it use: a quota may be a part of a core. */
  cores: z.number().positive().max(4_096),
  memoryBytes: count,
  engines: z.array(engineName),
  /** Work per second relative to a Raspberry Pi 4 core, per engine (calibrated at start). */
  speed: z.partialRecord(engineName, z.number().positive()),
  labels: z.array(identifier).max(limits.labelsPerNode),
  /** Share of the machine's cores that the mesh may use. */
  share: z.number().min(0).max(1),
  /** Attempts that run at once, and that wait behind them. No slots: it takes no work now, and `withheld` says why. */
  slots: z.number().int().min(0).max(limits.slotsPerNode),
  queue: z.number().int().min(0).max(limits.queuePerNode),
  /** Memory that the mesh's tasks may use together. */
  offeredMemoryBytes: count,
  withheld: withheld.optional(),
  /** Its owner takes only tasks that ask for one of these labels. */
  onlyLabels: z.array(identifier).max(limits.labelsPerNode).optional(),
  /** Whose code it runs on engine `node`, if it has that. */
  trusts: trustedKeys.optional(),
  mayLead: z.boolean(),
  /** The key that the node signs with. The first that is enrolled for an id stays. */
  publicKey,
  /** Shows that the node was let in: its certificate (DER in base64url), or, of 43 characters, what `admissionStatement` says. */
  admission: z
    .string()
    .regex(/^[A-Za-z0-9_-]{43,}$/)
    .max(limits.admissionCharacters),
  /**
   * Other boots seen under this very id, and how long this one had been up when it first saw each. Of two boots that name
   * each other both are alive: two machines have one identity.
   */
  rivals: z
    .array(z.object({ bootId: identifier, uptimeMs: count }))
    .max(limits.rivalsPerNode)
    .optional(),
});
export type NodeStatus = z.infer<typeof nodeStatus>;

/** One sample; everything is about the time since the sample before. */
export const metricSample = z.object({
  /** Age when the batch was sent: no two clocks are compared. */
  ageMs: count,
  /** Share of all cores that were busy, the mesh's tasks included. */
  cpuShare: fraction,
  /** The same without the mesh's own processes: what the device's own work takes. */
  cpuBackgroundShare: fraction,
  memoryAvailableBytes: count,
  /** Resident memory of the mesh's own tasks. */
  memoryMeshBytes: count,
  networkReceivedBytesPerSecond: z.number().min(0),
  networkSentBytesPerSecond: z.number().min(0),
  /** Where the machine tells: the disk with the node's home; its hottest processor; whether heat or a weak supply slows it down. */
  diskFreeBytes: count.optional(),
  diskTotalBytes: count.optional(),
  temperatureCelsius: z.number().min(-200).max(1_000).optional(),
  isThrottled: z.boolean().optional(),
  /** Of a device that runs on its battery now. */
  batteryShare: fraction.optional(),
  /** What the runtime has made the machine write to its disks since the runtime started. */
  writtenBytes: count.optional(),
});
export type MetricSample = z.infer<typeof metricSample>;

export const nodeMetrics = z.object({
  v: version,
  node: identifier,
  bootId: identifier,
  seq: count,
  samples: z.array(metricSample).max(limits.samplesPerBatch),
  /** What its status will say, counted from when the batch was sent; absent where nothing is going to change. */
  ahead: z.array(offerChange).max(limits.offerChanges).optional(),
});
export type NodeMetrics = z.infer<typeof nodeMetrics>;

/**
 * `leader`, retained. For clients and pages a hint, by which nothing is decided. A node obeys its leader if `proof` and `chain`
 * show that the voters elected it, and answers a new one with status and inventory.
 */
export const leaderHint = z.object({
  v: version,
  node: identifier,
  bootId: identifier,
  term: count,
  /** Grows with every announcement of one boot: each asks every node for its status. */
  seq: count,
  /** Where blobs are put. */
  holders: z.array(identifier).min(1),
  /** The leader's key; and why it leads: the votes of its term, and how those voters came to be voters. */
  publicKey,
  proof: termProof,
  chain: votersChain,
});
export type LeaderHint = z.infer<typeof leaderHint>;

/** `events`, QoS 0: what happened, for people. */
export const meshEvent = z.object({
  v: version,
  source: identifier,
  kind: identifier,
  severity: z.enum(['info', 'warning', 'error']),
  text: z.string().max(1_000),
  fields: z.record(z.string(), z.json()).optional(),
});
export type MeshEvent = z.infer<typeof meshEvent>;
