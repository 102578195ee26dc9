import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const endMs = 15_000;

/** A real process that speaks in lines of JSON. */
export class LineProcess {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<string>;
  readonly #name: string;
  #stderr = '';

  constructor(
    name: string,
    file: string,
    words: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ) {
    this.#name = name;
    this.#child = spawn(file, words, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, HOME: '/nonexistent', NO_COLOR: '1', ...environment },
    });
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-4_000);
    });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(error.message));
      this.#child.once('exit', (code, signal) => resolve(String(signal ?? code)));
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  write(line: string): void {
    this.#child.stdin!.write(`${line}\n`);
  }

  /** The next line that is JSON. Throws with what the process said when it ends first. */
  async next(): Promise<Record<string, unknown>> {
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done === true) throw new Error(`${this.#name} ended (${await this.#ended}): ${this.#stderr.trim()}`);
      if (value.startsWith('{')) return JSON.parse(value) as Record<string, unknown>;
    }
  }

  async end(): Promise<void> {
    this.#child.kill('SIGTERM');
    const forced = setTimeout(() => this.#child.kill('SIGKILL'), endMs);
    await this.#ended;
    clearTimeout(forced);
  }
}
