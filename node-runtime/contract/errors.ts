/** Every error code, with what it means. `docs/errors.md` lists the same; a test compares. */
export const errorCodes = {
  MESH_MESSAGE_MALFORMED: 'A message does not parse or does not fit its schema.',
  MESH_MESSAGE_VERSION: 'A message has a version this release does not speak.',
  MESH_LIMIT_EXCEEDED: 'Something is larger, longer or more than a named limit allows.',
  MESH_TOPIC_INVALID: 'A topic or identifier breaks the portability rules.',
  MESH_CONFIG_INVALID: 'A configuration file, option or environment variable has a wrong value.',
  MESH_SPEC_INVALID: 'A job spec does not fit its schema.',
  MESH_SPEC_CYCLE: 'The stages of a job need each other in a circle.',
  MESH_JOB_CONFLICT: 'A job with the same id but another spec exists or existed.',
  MESH_JOB_UNKNOWN: 'No such job.',
  MESH_TASK_UNKNOWN: 'No such task.',
  MESH_QUOTA_EXCEEDED:
    'The account, or the mesh, has as many jobs, as many tasks at once, or as much data as it may have.',
  MESH_CLOCK_UNSURE: 'The clock of the node that leads cannot be relied on: what rests on it waits.',
  MESH_JOB_CANCELLED: 'The job was cancelled.',
  MESH_DEADLINE_UNLIKELY: 'A job will probably not be done by its deadline; it runs all the same.',
  MESH_WORK_UNKNOWN: 'Nothing is known of what the tasks of a stage take: it cannot be planned.',
  MESH_SERIES_INVALID: 'A file, or a history, cannot be read as a series of values, or there are too few of them.',
  MESH_INPUT_INVALID: 'The input of a stage cannot be split as the spec says.',
  MESH_NO_LEADER: 'No node leads, or the leader did not answer in time.',
  MESH_NO_ROOM: 'No node can take the task: each lacks something it needs.',
  MESH_UNREACHABLE: 'The broker could not be reached.',
  MESH_NAME_UNKNOWN: "The broker's host name does not resolve to an address.",
  MESH_TLS_FAILED: 'The broker was reached, and does not speak TLS as it should.',
  MESH_CA_MISMATCH: "Who answers is not certified by the mesh's CA: another mesh, or somebody in between.",
  MESH_CLOCK_WRONG: "This machine's clock is too far from the broker's: certificates could not be judged.",
  MESH_INVITATION_UNKNOWN: 'The broker has made no such invitation, or not with this secret.',
  MESH_INVITATION_USED: 'The invitation has been used as often as it may be.',
  MESH_INVITATION_EXPIRED: 'The invitation was for a time that is over.',
  MESH_CERTIFICATE_ENDED: "The node's certificate is no longer valid, and must be made anew.",
  MESH_NODE_REMOVED: 'The owner has removed the node from the mesh.',
  MESH_NOT_AUTHORIZED: 'The broker refused the account or its password; or who asks may not do this.',
  MESH_BLOB_MISSING: 'No holder has the blob.',
  MESH_BLOB_CORRUPT: 'Bytes do not match the hash that names them.',
  MESH_CHECKPOINT_LOST: 'No holder has, whole, the state that a task was to go on from.',
  MESH_STORAGE_FAILED: 'A disk operation failed.',
  MESH_LOG_CORRUPT: 'The log on disk is damaged before its end.',
  MESH_LEADER_UNPROVEN: 'Somebody says that it leads, and does not show that the voters elected it.',
  MESH_LOG_LOST: 'This node votes, and its log is gone.',
  MESH_JOURNAL_INVALID: 'The file is no journal of a voter, or damaged.',
  MESH_REPLAY_DIFFERS: 'The machine decided otherwise than when the journal was written.',
  MESH_ILLEGAL_TRANSITION: 'A state machine was asked for a transition it does not have: a bug.',
  MESH_TERM_STALE: 'A message of a past term.',
  MESH_TASK_THREW: "The task's code threw.",
  MESH_TASK_CODE_INVALID: "The task's code does not compile, has no default export, or is no program that runs here.",
  MESH_TASK_TRAPPED: "The task's program was ended by a trap: memory that is not there, a division by zero, `abort`.",
  MESH_TASK_EXITED: "The task's program ended with an exit code other than 0.",
  MESH_CODE_UNSIGNED: 'Code of engine `node` has no manifest, or one that its author has not signed so.',
  MESH_CODE_UNTRUSTED: "The node's owner does not trust the author of the code.",
  MESH_CODE_EXPIRED: 'The signature of the code was for a time that is over.',
  MESH_CODE_MISMATCH: 'The code is not the one that its manifest names.',
  MESH_CODE_CAPABILITY: 'The code asks for what the owner of the node does not let it do.',
  MESH_CODE_LIMITS: 'The task may use more than the manifest of its code allows.',
  MESH_CODE_ROLLBACK: 'The node has accepted a higher version of this code before.',
  MESH_CODE_UNCONTAINED: 'Engine `node` cannot keep a task apart from the machine here.',
  MESH_KEY_UNKNOWN: "No such author's key.",
  MESH_TASK_MEMORY: 'The task needed more memory than its limit.',
  MESH_TASK_CPU: 'The task used more CPU time than its limit.',
  MESH_TASK_WALL: 'The task ran longer than its limit.',
  MESH_TASK_OUTPUT: "The task's output is larger than its limit or cannot be encoded.",
  MESH_TASK_POISON: 'The task failed by its own fault on as many machines as the limit allows.',
  MESH_TASK_CANCELLED: 'The attempt was cancelled.',
  MESH_TASK_NOT_RUNNING: 'The task that was named does not run now.',
  MESH_SANDBOX_DIED: 'The sandbox process ended without a word.',
  MESH_NODE_FULL: 'The node was asked to run more than it offered.',
  MESH_ENGINE_UNKNOWN: 'The node has no such engine.',
  MESH_NODE_UNKNOWN: 'No such node.',
  MESH_NODE_AWAY: 'The node that was asked for is not connected, or did not answer in time.',
  MESH_FORECAST_EARLY: 'Nothing is forecast of the node yet: its past is being learned, or not enough was measured.',
  MESH_NODE_LEADS: 'The node leads the mesh, and cannot be taken out of it while it does.',
  MESH_NODE_LOST: 'The node that ran the attempt is gone.',
  MESH_IDENTITY_IN_USE: 'Another process uses this data directory or this identity.',
  MESH_IDENTITY_DAMAGED: "The node's private key is missing or damaged.",
  MESH_IDENTITY_CLONED: 'Two machines run under one identity.',
  MESH_NOT_ADMITTED: 'The mesh does not admit the node under this id.',
  MESH_SIGNATURE_INVALID: 'A message has no seal, or one that is not by the key of its sender.',
  MESH_NOT_INSTALLED: 'What was asked for belongs to a package that is not installed.',
  MESH_SIMULATION_FAILED: 'A simulated run broke a promise, or a bug that was planted on purpose was not found.',
  MESH_USAGE: 'The command line is wrong.',
} as const;

export type ErrorCode = keyof typeof errorCodes;

/** What others say is a code may be one of another release. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorCodes, text);
}

export interface ErrorDetails {
  /** What to do about it: a sentence or a command. */
  readonly mend?: string;
  readonly cause?: unknown;
  /** Where: file:line:column, a path into a message, a topic. */
  readonly where?: string;
}

/** Marks every `MeshError`, also one of another copy of this module: a bundle and a package may meet in one process. */
const brand = Symbol.for('foremesh.MeshError');

/** The one error type. `code` is stable; `message` says what was wrong, `where` where, `mend` what would be right. */
export class MeshError extends Error {
  readonly code: ErrorCode;
  readonly where: string | undefined;
  readonly mend: string | undefined;

  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && brand in value;
  }

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'MeshError';
    this.code = code;
    this.where = details.where;
    this.mend = details.mend;
    Object.defineProperty(this, brand, { value: true });
  }

  /** One line for a person: `where: message (CODE). mend` */
  toLine(): string {
    const where = this.where === undefined ? '' : `${this.where}: `;
    const mend = this.mend === undefined ? '' : `; ${this.mend}`;
    return `${where}${this.message} (${this.code})${mend}`;
  }
}

export function asMeshError(error: unknown, code: ErrorCode): MeshError {
  if (error instanceof MeshError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new MeshError(code, message, { cause: error });
}

/** Throws `MESH_LIMIT_EXCEEDED` naming the limit when `found` is more than `allowed`. */
export function checkLimit(name: string, found: number, allowed: number, where?: string): void {
  if (found > allowed) {
    throw new MeshError(
      'MESH_LIMIT_EXCEEDED',
      `${name} is ${allowed}, found ${found}`,
      where === undefined ? {} : { where },
    );
  }
}
