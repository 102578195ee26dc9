import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { completionScript, shells } from '../../../node-runtime/cli/completion.ts';
import { buildProgram } from '../../../node-runtime/cli/program.ts';
import { FakeIo } from './fake-io.ts';

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

  it('has every command and every option, quoted, in each shell', () => {
    for (const shell of shells) {
      for (const word of ['run', 'logs', 'completion', 'detach', 'param']) assert.ok(scripts[shell]!.includes(word));
      assert.ok(!/undefined|\[object/.test(scripts[shell]!));
    }
  });
});
