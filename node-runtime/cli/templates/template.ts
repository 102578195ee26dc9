/** A new folder: texts by file name, and the steps from there to a job that runs. */
export interface Template {
  /** Which language, in the list of `--lang`. */
  readonly summary: string;
  files(name: string): Readonly<Record<string, string>>;
  /** Commands, in the new folder. */
  readonly steps: readonly string[];
}

export const schemaFile = 'job.schema.json';

/** What every job file of a template begins with: editors complete and check by it. */
export const schemaComment = `# yaml-language-server: $schema=./${schemaFile}\n`;

export const exampleInput = `the quick brown fox jumps over the lazy dog
the dog sleeps
the fox is gone
`;
