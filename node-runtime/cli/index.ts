/** The command `foremesh`. */
import { CommanderError } from 'commander';
import { openHome } from '../shell/home.ts';
import { release } from '../shell/release.ts';
import { ExitWith, exitCodes } from './exit-codes.ts';
import type { Io } from './io.ts';
import { buildProgram } from './program.ts';
import { reportError, usageError } from './report.ts';
import { paintFor } from './style.ts';

export type { CommandContext, CommandModule } from './context.ts';
export { exitCodes } from './exit-codes.ts';
export type { Io, Output } from './io.ts';

/** Runs one command line (without `node` and the script's name); resolves with its exit code and never rejects. */
export async function runCli(argv: readonly string[], io: Io): Promise<number> {
  const json = argv.includes('--json');
  const paint = paintFor(io.stderr, io.environment, !argv.includes('--no-color'));
  try {
    const home = openHome(valueOfOption(argv, '--home'), io.environment).directory;
    const program = await buildProgram({ home, io }, argv, release);
    if (argv.length === 0) {
      program.outputHelp({ error: true });
      return exitCodes.usage.code;
    }
    await program.parseAsync([...argv], { from: 'user' });
    return exitCodes.ok.code;
  } catch (error) {
    if (error instanceof ExitWith) return error.exitCode;
    if (!(error instanceof CommanderError)) return reportError(error, io.stderr, paint, json);
    if (error.exitCode === 0) return exitCodes.ok.code;
    // `foremesh help nonsense` and a command without its subcommand have printed their help.
    if (error.code === 'commander.help') return exitCodes.usage.code;
    return reportError(explainUsage(error, argv), io.stderr, paint, json);
  }
}

/** Commander's `error: unknown option '--ot'\n(Did you mean --out?)` in our form. */
function explainUsage({ message }: CommanderError, argv: readonly string[]): Error {
  const [first = '', suggestion] = message.replace(/^error: /, '').split('\n');
  const meant = suggestion === undefined ? '' : `; ${suggestion.replace(/^\(D/, 'd').replace(/\)$/, '')}`;
  const command = argv.find((word) => /^[a-z]/.test(word));
  const known = command !== undefined && !first.includes('unknown command');
  return usageError(first + meant, known ? `foremesh ${command} --help` : 'foremesh --help');
}

/** An option's value before anything is parsed: commands of other packages are registered with the home. */
function valueOfOption(argv: readonly string[], option: string): string | undefined {
  for (const [index, word] of argv.entries()) {
    if (word === '--') return undefined;
    if (word === option) return argv[index + 1];
    if (word.startsWith(`${option}=`)) return word.slice(option.length + 1);
  }
  return undefined;
}
