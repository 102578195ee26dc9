import type { Command } from 'commander';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { addSubmitOptions, type SubmitOptions, submitJob } from '../submit-job.ts';

const examples = `
Examples:
  foremesh run                                        the job.yaml of this folder
  foremesh run blur --input 'photos/*.jpg' --out thumbs
  foremesh run --param rate=0.1..0.5..0.1 --param mode=fast,exact
  foremesh run job.yaml --out table.json

--out FOLDER: a path that is a folder or ends with a slash gets a file for each output. What tasks give as files
(\`task.files\`) is written under it by the names that they have, any other output as STAGE.json, .txt or .bin.

^C detaches: the job goes on, and the line that is printed then takes it up again. A second ^C ends the command at
once, whatever it is doing; the job goes on all the same. \`foremesh cancel ID\` stops it.
`;

export const runCommand: CommandModule = {
  name: 'run',
  summary: 'run a job on the mesh, follow it and print its result',
  arguments: [['[job]', 'job file, or the folder of a job.yaml; this folder unless said']],
  register(command: Command, context: CommandContext) {
    addSubmitOptions(command)
      .addHelpText('after', examples)
      .action((what: string | undefined, options: SubmitOptions) =>
        submitJob(new Session(command, context), what ?? '.', options),
      );
  },
};
