// The `broker` command as the `foremesh` CLI runs it: commander's Command, an error as one line and exit code 1.
import { commands } from '@foremesh/broker/commands';
import { MeshError } from '@foremesh/node-runtime/contract';
import { Command } from 'commander';

const program = new Command();
for (const { name, summary, register } of commands) {
  const command = new Command(name).description(summary);
  register(command, { home: '.foremesh' });
  program.addCommand(command);
}
try {
  await program.parseAsync(['broker', ...process.argv.slice(2)], { from: 'user' });
  process.exit(0);
} catch (error) {
  process.stderr.write(`${error instanceof MeshError ? error.toLine() : String(error)}\n`);
  process.exit(1);
}
