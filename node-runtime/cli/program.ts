import { Command } from 'commander';
import { backtestCommand } from './commands/backtest.ts';
import { cancelCommand } from './commands/cancel.ts';
import { completionCommand } from './commands/completion.ts';
import { dataCommand } from './commands/data.ts';
import { doctorCommand } from './commands/doctor.ts';
import { forecastCommand } from './commands/forecast.ts';
import { historyCommand } from './commands/history.ts';
import { initCommand } from './commands/init.ts';
import { inviteCommand } from './commands/invite.ts';
import { jobCommand } from './commands/job.ts';
import { jobsCommand } from './commands/jobs.ts';
import { joinCommand } from './commands/join.ts';
import { keysCommand } from './commands/keys.ts';
import { logsCommand } from './commands/logs.ts';
import { newCommand } from './commands/new.ts';
import { nodeCommand } from './commands/node.ts';
import { nodesCommand } from './commands/nodes.ts';
import { planCommand } from './commands/plan.ts';
import { profilesCommand } from './commands/profiles.ts';
import { quotaCommand } from './commands/quota.ts';
import { replayCommand } from './commands/replay.ts';
import { runCommand } from './commands/run.ts';
import { drainCommand, pauseCommand, resumeCommand, shareCommand } from './commands/share.ts';
import { submitCommand } from './commands/submit.ts';
import { trustCommand } from './commands/trust.ts';
import { votersCommand } from './commands/voters.ts';
import { whyCommand } from './commands/why.ts';
import { addGlobalOptions, type CommandContext, type CommandModule } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { extensionCommands, findExtensions } from './extensions.ts';

/** The commands of this package, in the order of the help: a new one is added here. */
export const ownCommands: readonly CommandModule[] = [
  initCommand,
  inviteCommand,
  joinCommand,
  nodeCommand,
  newCommand,
  planCommand,
  runCommand,
  submitCommand,
  jobsCommand,
  jobCommand,
  logsCommand,
  dataCommand,
  cancelCommand,
  nodesCommand,
  historyCommand,
  forecastCommand,
  backtestCommand,
  profilesCommand,
  shareCommand,
  pauseCommand,
  resumeCommand,
  drainCommand,
  keysCommand,
  trustCommand,
  votersCommand,
  quotaCommand,
  whyCommand,
  doctorCommand,
  replayCommand,
  completionCommand,
];

const intro = 'Foremesh: a handful of small machines as one computer that looks ahead.';

const codes = Object.values(exitCodes).map(({ code, meaning }) => `  ${String(code).padEnd(5)}${meaning}`);
const footer = `
Exit codes:
${codes.join('\n')}

Examples:
  foremesh run job.yaml
  foremesh nodes
  foremesh help run
`;

/**
 * The whole command line. The commands of other packages are looked for only when one of them, or the help, is asked
 * for: loading them costs time that `foremesh jobs` should not take.
 */
export async function buildProgram(
  context: CommandContext,
  argv: readonly string[],
  version: string,
): Promise<Command> {
  const program = new Command('foremesh');
  const { stdout, stderr } = context.io;
  program
    .description(intro)
    .version(version, '-V, --version', 'print the version')
    .exitOverride()
    .enablePositionalOptions()
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      // Reported like every other error, with its code.
      outputError: () => undefined,
      getOutHelpWidth: () => stdout.columns,
      getErrHelpWidth: () => stderr.columns,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .helpCommand('help [command]', 'show the help of a command')
    .addHelpText('after', footer);
  addGlobalOptions(program);
  for (const module of ownCommands) addGlobalOptions(addCommand(program, module, context));
  // The first that is a command: `sim run` is not our `run`.
  const asked = argv.find((word) => extensionCommands.includes(word) || ownCommands.some(({ name }) => name === word));
  if (asked === undefined || extensionCommands.includes(asked) || argv.includes('help') || asked === 'completion') {
    for (const module of await findExtensions()) addCommand(program, module, context);
  }
  return program;
}

function addCommand(program: Command, module: CommandModule, context: CommandContext): Command {
  const command = program.command(module.name).description(module.summary).summary(module.summary);
  for (const [name, what] of module.arguments ?? []) command.argument(name, what);
  module.register(command, context);
  return command;
}
