import type { Command } from 'commander';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { usageError } from '../report.ts';

const examples = `
Examples:
  foremesh completion bash > ~/.local/share/bash-completion/completions/foremesh
  foremesh completion zsh > "\${fpath[1]}/_foremesh"
  foremesh completion fish > ~/.config/fish/completions/foremesh.fish
For this shell alone:
  source <(foremesh completion bash)
`;

export const completionCommand: CommandModule = {
  name: 'completion',
  summary: 'print the completion of commands and options for a shell',
  arguments: [['<shell>', 'bash, zsh or fish']],
  register(command: Command, context: CommandContext) {
    command.addHelpText('after', examples).action(async (shell: string) => {
      const session = new Session(command, context);
      const { completionScript, shells } = await import('../completion.ts');
      if (!shells.includes(shell))
        throw usageError(`there is no completion for "${shell}"`, `say ${shells.join(', ')}`);
      const script = completionScript(command.parent!, shell);
      if (session.json) session.printJson({ shell, script });
      else session.io.stdout.write(script);
    });
  },
};
