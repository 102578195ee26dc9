/** Something that must always hold did not. `checker` names the promise (I1 to I9) or the machine that contradicts itself. */
export class Violation extends Error {
  readonly checker: string;

  constructor(checker: string, message: string) {
    super(message);
    this.name = 'Violation';
    this.checker = checker;
  }
}

/** An error that the core threw is a violation too: of the machine whose check it was. */
export function asViolation(error: unknown): Violation {
  if (error instanceof Violation) return error;
  const { message, stack = '' } = error as Error;
  const named = /^(I\d|planner|ledger|raft|voter|agent|MESH_ILLEGAL_TRANSITION)\b/.exec(message)?.[1];
  return new Violation(named ?? 'exception', named === undefined ? stack.split('\n').slice(0, 4).join(' ') : message);
}

export function check(holds: boolean, checker: string, message: string): asserts holds {
  if (!holds) throw new Violation(checker, message);
}
