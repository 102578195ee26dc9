/** What one look at the mesh, or at this machine, came to. */
export interface Finding {
  readonly check: string;
  readonly verdict: 'ok' | 'warning' | 'problem';
  readonly text: string;
  /** What to do about it. */
  readonly mend?: string | undefined;
}

/** Says what it found, one finding after the other. */
export class Findings {
  readonly all: Finding[] = [];
  readonly #onFinding: (finding: Finding) => void;

  constructor(onFinding: (finding: Finding) => void) {
    this.#onFinding = onFinding;
  }

  add(check: string, verdict: Finding['verdict'], text: string, mend?: string): void {
    const finding = { check, verdict, text, ...(mend === undefined ? {} : { mend }) };
    this.all.push(finding);
    this.#onFinding(finding);
  }

  /** An error that a check met, as what it means for that check. */
  fail(check: string, error: unknown): void {
    const { code, message, mend } = error as { code?: string; message: string; mend?: string };
    this.add(check, 'problem', code === undefined ? message : `${message} (${code})`, mend);
  }
}
