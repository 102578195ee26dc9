/** One stream that a command writes to. */
export interface Output {
  readonly isTTY: boolean;
  readonly columns: number;
  write(content: string | Uint8Array): void;
}

/** All that a command sees of its process, so that a test can be one. */
export interface Io {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly directory: string;
  /** Calls the listener on ^C (or SIGTERM) in place of the process's end. Returns what gives it back. */
  onInterrupt(listener: () => void): () => void;
}

const columnsUnlessKnown = 80;

export function processIo(): Io {
  return {
    stdout: outputOf(process.stdout),
    stderr: outputOf(process.stderr),
    environment: process.env,
    directory: process.cwd(),
    onInterrupt(listener) {
      process.on('SIGINT', listener).on('SIGTERM', listener);
      return () => {
        process.off('SIGINT', listener).off('SIGTERM', listener);
      };
    },
  };
}

function outputOf(stream: NodeJS.WriteStream): Output {
  // `foremesh jobs | head` ends when nobody reads any more, and that is no error.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
  return {
    get isTTY() {
      return stream.isTTY === true;
    },
    get columns() {
      return stream.columns || columnsUnlessKnown;
    },
    write: (content) => stream.write(content),
  };
}
