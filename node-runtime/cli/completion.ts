import type { Command } from 'commander';

/** One command as a shell completes it. */
interface Completed {
  readonly name: string;
  readonly summary: string;
  /** `--out`, `-o` and what they are for. */
  readonly options: readonly {
    readonly flags: readonly string[];
    readonly about: string;
    readonly takesValue: boolean;
  }[];
  readonly subcommands: readonly Completed[];
}

export const shells: readonly string[] = ['bash', 'zsh', 'fish'];

/** The script by which a shell completes a program: its commands, their subcommands and options, and files elsewhere. */
export function completionScript(program: Command, shell: string): string {
  const root = completedOf(program);
  if (shell === 'bash') return bash(root);
  return shell === 'zsh' ? zsh(root) : fish(root);
}

function completedOf(command: Command): Completed {
  return {
    name: command.name(),
    summary: command.description(),
    options: command.options
      .filter(({ hidden }) => !hidden)
      .map(({ long, short, description, required, optional }) => ({
        flags: [long, short].filter((flag) => flag !== undefined && flag !== null),
        about: description,
        takesValue: required || optional,
      })),
    subcommands: command.commands.map(completedOf),
  };
}

/** Every command with the words that lead to it. */
function* walk(command: Completed, words: readonly string[] = []): Generator<[readonly string[], Completed]> {
  yield [words, command];
  for (const each of command.subcommands) yield* walk(each, [...words, each.name]);
}

const flagsOf = ({ options }: Completed) => options.flatMap(({ flags }) => flags).concat('--help', '-h');
const valuedOf = ({ options }: Completed) =>
  options.filter(({ takesValue }) => takesValue).flatMap(({ flags }) => flags);
const namesOf = ({ subcommands }: Completed) => subcommands.map(({ name }) => name);

function bash(root: Completed): string {
  const all = [...walk(root)];
  const cases = all.map(([words, command]) => {
    const key = words.join(' ');
    return `    '${key}')
      names='${namesOf(command).join(' ')}'
      flags='${flagsOf(command).join(' ')}'
      valued=' ${valuedOf(command).join(' ')} ';;`;
  });
  const known = all.map(([words]) => `'${words.join(' ')}'`).join('|');
  return `# Completion of ${root.name} for bash, made by \`${root.name} completion bash\`.
_${root.name}_about() {
  case "$1" in
${cases.join('\n')}
    *) names='' flags='' valued='';;
  esac
}
_${root.name}() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" names flags valued path='' next i
  _${root.name}_about ''
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ "$valued" == *" \${COMP_WORDS[i]} "* ]]; then
      ((i++))
      continue
    fi
    next="\${path:+$path }\${COMP_WORDS[i]}"
    case "$next" in
      ${known}) path="$next"; _${root.name}_about "$path";;
    esac
  done
  COMPREPLY=()
  if [[ "$valued" == *" $before "* ]]; then
    COMPREPLY=($(compgen -f -- "$word"))
  elif [[ "$word" == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$word"))
  elif [[ -n "$names" ]]; then
    COMPREPLY=($(compgen -W "$names" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}
complete -o filenames -F _${root.name} ${root.name}
`;
}

/** In single quotes, for zsh and fish. */
const quoted = (text: string) => `'${text.replaceAll('\n', ' ').replaceAll("'", "'\\''")}'`;

function zsh(root: Completed): string {
  const describe = (text: string) => text.replaceAll('\\', '\\\\').replaceAll(':', '\\:');
  const cases = [...walk(root)].map(([words, command]) => {
    const names = command.subcommands.map(({ name, summary }) => quoted(`${name}:${describe(summary)}`));
    const flags = command.options.flatMap((option) =>
      option.flags.map((flag) => quoted(`${flag}:${describe(option.about)}`)),
    );
    return `    ${quoted(words.join(' '))})
      names=(${names.join(' ')})
      flags=(${[...flags, quoted('--help:display help for command')].join(' ')})
      valued=(${valuedOf(command).join(' ')});;`;
  });
  return `#compdef ${root.name}
# Completion of ${root.name} for zsh, made by \`${root.name} completion zsh\`.
_${root.name}_about() {
  case "$1" in
${cases.join('\n')}
    *) return 1;;
  esac
}
_${root.name}() {
  local -a names flags valued
  local known='' next i
  _${root.name}_about ''
  for ((i = 2; i < CURRENT; i++)); do
    if (( $valued[(Ie)\${words[i]}] )); then
      ((i++))
      continue
    fi
    next="\${known:+$known }\${words[i]}"
    _${root.name}_about "$next" && known="$next"
  done
  if (( $valued[(Ie)\${words[CURRENT-1]}] )); then _files
  elif [[ "\${words[CURRENT]}" == -* ]]; then _describe option flags
  elif (( $#names )); then _describe command names
  else _files
  fi
}
if [[ "$funcstack[1]" == _${root.name} ]]; then _${root.name} "$@"; else compdef _${root.name} ${root.name}; fi
`;
}

function fish(root: Completed): string {
  const lines = [...walk(root)].flatMap(([words, command]) => {
    const seen = words.map((word) => `__fish_seen_subcommand_from ${word}`);
    const children = namesOf(command);
    const unless = children.length === 0 ? [] : [`not __fish_seen_subcommand_from ${children.join(' ')}`];
    const when = (conditions: readonly string[]) =>
      conditions.length === 0 ? '' : ` -n ${quoted(conditions.join('; and '))}`;
    const names = command.subcommands.map(
      ({ name, summary }) =>
        `complete -c ${root.name} -f${when([...seen, ...unless])} -a ${name} -d ${quoted(summary)}`,
    );
    const options = command.options.map(({ flags, about, takesValue }) => {
      const spelt = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
      return `complete -c ${root.name}${when(seen)} ${spelt.join(' ')}${takesValue ? ' -r' : ''} -d ${quoted(about)}`;
    });
    return [...names, ...options];
  });
  return `# Completion of ${root.name} for fish, made by \`${root.name} completion fish\`.\n${lines.join('\n')}\n`;
}
