/** How fast a group of voters notices that its leader is gone. All voters of a mesh must use the same. */
export interface RaftProfile {
  readonly heartbeatMs: number;
  /** A follower that hears nothing for a random time between these stands for election. */
  readonly electionLeastMs: number;
  readonly electionMostMs: number;
}

export const raftProfiles = {
  /** Radio links, SD cards: patient. */
  edge: { heartbeatMs: 1_000, electionLeastMs: 7_500, electionMostMs: 12_000 },
  /** Wires and solid disks: a new leader within 3 s. */
  lan: { heartbeatMs: 200, electionLeastMs: 900, electionMostMs: 1_600 },
} as const satisfies Record<string, RaftProfile>;
