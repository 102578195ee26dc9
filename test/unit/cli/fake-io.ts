import type { Io } from '@foremesh/node-runtime/cli';

/** A process that is not one: collects what a command prints. */
export class FakeIo implements Io {
  out = Buffer.alloc(0);
  err = '';
  readonly environment: Record<string, string | undefined>;
  readonly directory: string;
  #interrupt: (() => void) | undefined;

  constructor(directory: string, environment: Record<string, string | undefined> = {}) {
    this.directory = directory;
    this.environment = { FOREMESH_HOME: directory, ...environment };
  }

  readonly stdout = {
    isTTY: false,
    columns: 100,
    write: (content: string | Uint8Array) => {
      this.out = Buffer.concat([this.out, Buffer.from(content as string)]);
    },
  };
  readonly stderr = {
    isTTY: false,
    columns: 100,
    write: (content: string | Uint8Array) => {
      this.err += Buffer.from(content as string).toString();
    },
  };

  get text(): string {
    return this.out.toString();
  }
  /** One JSON document per line of stdout. */
  get documents(): Record<string, unknown>[] {
    return this.text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  onInterrupt(listener: () => void): () => void {
    this.#interrupt = listener;
    return () => {
      this.#interrupt = undefined;
    };
  }
  /** ^C; false when nobody listens and the process would end. */
  interrupt(): boolean {
    const listens = this.#interrupt !== undefined;
    this.#interrupt?.();
    return listens;
  }
}
