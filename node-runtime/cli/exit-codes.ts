import type { ErrorCode } from '../contract/index.ts';

/** What the exit code of every command means. Shown by `foremesh --help`; `docs/` lists the same. */
export const exitCodes = {
  ok: { code: 0, meaning: 'done' },
  failed: { code: 1, meaning: 'the job failed, or the command could not finish' },
  usage: {
    code: 2,
    meaning: "the command line, the job file, its code or the node's identity is wrong, or the mesh refused it",
  },
  unreachable: { code: 3, meaning: 'the mesh could not be reached: no broker, not authorized, or no leader' },
  cancelled: { code: 4, meaning: 'the job was cancelled' },
  interrupted: { code: 130, meaning: '^C; a job that was accepted goes on' },
} as const;

export type ExitName = keyof typeof exitCodes;

const unreachable: readonly ErrorCode[] = [
  'MESH_CA_MISMATCH',
  'MESH_NAME_UNKNOWN',
  'MESH_NOT_AUTHORIZED',
  'MESH_NO_LEADER',
  'MESH_TLS_FAILED',
  'MESH_UNREACHABLE',
];
const usage: readonly ErrorCode[] = [
  'MESH_CERTIFICATE_ENDED',
  'MESH_CLOCK_WRONG',
  'MESH_CONFIG_INVALID',
  'MESH_IDENTITY_CLONED',
  'MESH_IDENTITY_DAMAGED',
  'MESH_INPUT_INVALID',
  'MESH_INVITATION_EXPIRED',
  'MESH_INVITATION_UNKNOWN',
  'MESH_INVITATION_USED',
  'MESH_JOB_CONFLICT',
  'MESH_JOB_UNKNOWN',
  'MESH_LIMIT_EXCEEDED',
  'MESH_NODE_LEADS',
  'MESH_NODE_REMOVED',
  'MESH_KEY_UNKNOWN',
  'MESH_NODE_UNKNOWN',
  'MESH_NOT_ADMITTED',
  'MESH_NOT_INSTALLED',
  'MESH_NO_ROOM',
  'MESH_QUOTA_EXCEEDED',
  'MESH_SERIES_INVALID',
  'MESH_SPEC_CYCLE',
  'MESH_SPEC_INVALID',
  'MESH_TASK_CODE_INVALID',
  'MESH_TASK_UNKNOWN',
  'MESH_TOPIC_INVALID',
  'MESH_USAGE',
  'MESH_WORK_UNKNOWN',
];

/** The exit code of a command that ended with an error of this code. */
export function exitCodeOf(code: string): number {
  if ((unreachable as readonly string[]).includes(code)) return exitCodes.unreachable.code;
  if ((usage as readonly string[]).includes(code)) return exitCodes.usage.code;
  return code === 'MESH_JOB_CANCELLED' ? exitCodes.cancelled.code : exitCodes.failed.code;
}

/** Thrown by a command that has said all there is to say and ends with this code. */
export class ExitWith extends Error {
  readonly exitCode: number;

  constructor(name: ExitName) {
    super(exitCodes[name].meaning);
    this.exitCode = exitCodes[name].code;
  }

  /** With one of the codes above. */
  static code(code: number): ExitWith {
    const names = Object.keys(exitCodes) as ExitName[];
    return new ExitWith(names.find((name) => exitCodes[name].code === code) ?? 'failed');
  }
}
