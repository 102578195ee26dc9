import type { Command } from 'commander';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { addSubmitOptions, type SubmitOptions, submitJob } from '../submit-job.ts';

const examples = `
Examples:
  foremesh submit job.yaml                            follow it, print the result
  foremesh submit job.yaml --out table.json           write the result to a file
  foremesh submit job.yaml --input map=flights.json   read another file in stage "map"
  foremesh submit job.yaml --detach --id nightly-3    leave it to the mesh
  foremesh submit job.yaml --json | jq .event         one line per change

In the job file \`code\`, \`merge\` and \`input\` may be paths from its folder. ^C detaches: the job goes on.
The same id with the same job is the same job, so a command that was cut off can be given again with its --id.
`;

export const submitCommand: CommandModule = {
  name: 'submit',
  summary: 'hand a job to the mesh; like `run`, and --detach leaves it there',
  arguments: [['<file>', 'job file, YAML or JSON, or its folder']],
  register(command: Command, context: CommandContext) {
    addSubmitOptions(command)
      .option('-d, --detach', 'end once the job is accepted')
      .addHelpText('after', examples)
      .action((file: string, options: SubmitOptions) => submitJob(new Session(command, context), file, options));
  },
};
