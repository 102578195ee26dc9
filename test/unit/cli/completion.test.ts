import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { completionScript, shells } from '../../../node-runtime/cli/completion.ts';
import { buildProgram } from '../../../node-runtime/cli/program.ts';
import { skipWithout } from '../../support/skip.ts';
import { FakeIo } from './fake-io.ts';

/** What zsh offers for a line ($2) with a script ($1): it completes in a terminal of its own, and `compadd` tells what it is given. */
const zshOffers = `
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PROMPT= RPROMPT=; autoload -Uz compinit; compinit -D -u; source $1"
zpty -w shell '
compadd() {
  if [[ \${@[1,(i)(-|--)]} != *-(O|A|D)\\ * ]]; then
    local -a offered
    builtin compadd -A offered "$@"
    (( $#offered )) && print -l -- "OFFERED "\${^offered}
  fi
  builtin compadd "$@"
}
offer() { _main_complete; compstate[insert]=; compstate[list]=; print -r -- THATS-ALL }
zle -C offer complete-word offer
bindkey "^X" offer
print -r -- "IS-""READY"
'
while zpty -r shell line; do [[ $line == *IS-READY* ]] && break; done
zpty -n -w shell "$2"$'\\C-X'
while zpty -r shell line; do
  print -r -- "$line"
  [[ $line == *THATS-ALL* ]] && break
done
zpty -d shell
`;

describe('cli: completion', () => {
  let scripts: Record<string, string>;
  before(async () => {
    const program = await buildProgram({ home: '/nowhere', io: new FakeIo('/nowhere') }, ['completion'], '1.0.0');
    scripts = Object.fromEntries(shells.map((shell) => [shell, completionScript(program, shell)]));
  });

  /** What a real bash offers for the last word. */
  const offered = (...words: string[]): string[] => {
    const script = `${scripts.bash}
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_foremesh
printf '%s\\n' "\${COMPREPLY[@]}"`;
    const output = execFileSync('bash', ['-c', script, 'bash', 'foremesh', ...words], { cwd: '/', encoding: 'utf8' });
    return output.split('\n').filter((line) => line !== '');
  };

  it('offers commands, subcommands, options and files, in bash', () => {
    assert.deepEqual(offered('re'), ['resume', 'replay']);
    assert.deepEqual(offered('--json', 'ru'), ['run']);
    assert.ok(offered('').includes('up'), 'those of other packages too');
    assert.deepEqual(offered('run', '--pa'), ['--param']);
    assert.deepEqual(offered('--home', '/x', 'submit', '--det'), ['--detach']);
    // The value of an option is no command.
    assert.deepEqual(offered('--home', 'run', 'submit', '--det'), ['--detach']);
    assert.deepEqual(offered('run', '--out', 'et'), ['etc']);
    assert.deepEqual(offered('run', 'us'), ['usr']);
  });

  describe('in other shells', () => {
    let folder: string;
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'foremesh-completion-'));
      for (const shell of shells) await writeFile(join(folder, shell), scripts[shell]!);
      await writeFile(join(folder, 'offers.zsh'), zshOffers);
    });
    after(() => rm(folder, { recursive: true }));
    const offers: Readonly<Record<string, (line: string) => string[]>> = {
      zsh: (line) => {
        const words = ['-f', join(folder, 'offers.zsh'), join(folder, 'zsh'), line];
        const shown = execFileSync('zsh', words, { cwd: '/', encoding: 'utf8', timeout: 30_000 });
        return [...shown.matchAll(/OFFERED (\S+)/g)].map(([, word]) => word!);
      },
      fish: (line) => {
        const words = ['--no-config', '-c', 'source $argv[1]; complete -C $argv[2]', join(folder, 'fish'), line];
        const home = { HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder, XDG_CACHE_HOME: folder };
        const shown = execFileSync('fish', words, {
          cwd: '/',
          encoding: 'utf8',
          env: { PATH: process.env.PATH, ...home },
        });
        return shown.split('\n').flatMap((row) => row.split('\t')[0] || []);
      },
    };

    for (const shell of ['zsh', 'fish']) {
      it(`offers commands, subcommands, options and files, in ${shell}`, function () {
        this.timeout(60_000);
        skipWithout(this, shell, shell);
        const offered = offers[shell]!;
        assert.deepEqual(offered('foremesh re').sort(), ['replay', 'resume']);
        assert.deepEqual(offered('foremesh --json ru'), ['run']);
        assert.deepEqual(offered('foremesh accounts '), ['add', 'list', 'password', 'remove']);
        assert.deepEqual(offered('foremesh run --pa'), ['--param']);
        assert.deepEqual(offered('foremesh --home /x submit --det'), ['--detach']);
        // The value of an option is no command, and may be a file.
        assert.deepEqual(offered('foremesh --home run submit --det'), ['--detach']);
        assert.ok(offered('foremesh run --out /et').some((word) => /^(\/?etc\/?)$/.test(word)));
        assert.ok(!offered('foremesh --home ').includes('submit'));
      });
    }
  });

  it('has every command and every option, quoted, in each shell', () => {
    for (const shell of shells) {
      for (const word of ['run', 'logs', 'completion', 'detach', 'param']) assert.ok(scripts[shell]!.includes(word));
      assert.ok(!/undefined|\[object/.test(scripts[shell]!));
    }
  });
});
