import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

export const launcher = join(import.meta.dirname, '../../node-runtime/bin/foremesh.mjs');

/** One way to a module of WebAssembly. */
export interface Toolchain {
  readonly name: string;
  /** The language of `foremesh new`. */
  readonly template: string;
  /** What stands in place of what the template gives. */
  readonly files?: Readonly<Record<string, string>>;
  /** What is not here, and what brings it; undefined when all is here. */
  readonly missing: () => Promise<string | undefined>;
  /** The commands that make `task.wasm`. */
  readonly build: () => Promise<readonly (readonly string[])[]>;
}

/** Runs a program to its end; gives its standard output. Throws with what it said when it fails. */
export async function run(
  folder: string,
  command: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { stdout } = await promisify(execFile)(command, words, {
    cwd: folder,
    env: { ...process.env, ...environment },
    maxBuffer: 64 * 1024 ** 2,
  });
  return stdout;
}

const works = (command: string, ...words: string[]) =>
  run('/', command, words).then(
    () => true,
    () => false,
  );

const cpp = `#include <iostream>
#include <string>

int main() {
  long words = 0;
  for (std::string word; std::cin >> word;) words++;
  std::cout << words << '\\n';
}
`;

/** The one that has the standard library for WASI: a machine may have several. */
async function findRustc(): Promise<string | undefined> {
  for (const rustc of ['rustc', '/usr/bin/rustc']) {
    for (const target of ['wasm32-wasip1', 'wasm32-wasi']) {
      const folder = await run('/', rustc, ['--print', 'target-libdir', '--target', target]).catch(() => '');
      if (folder !== '' && existsSync(folder.trim())) return rustc;
    }
  }
  return undefined;
}

const clangPackages = 'clang lld wasi-libc libclang-rt-dev-wasm32';
const hasClang = async () =>
  (await works('clang', '--version')) && existsSync('/usr/include/wasm32-wasi')
    ? undefined
    : `Debian: apt-get install ${clangPackages}`;

export const toolchains: readonly Toolchain[] = [
  { name: 'c', template: 'c', missing: hasClang, build: async () => [['make', '-s']] },
  {
    name: 'cpp',
    template: 'c',
    files: { 'task.cpp': cpp },
    missing: async () =>
      (await hasClang()) ??
      (existsSync('/usr/include/wasm32-wasi/c++')
        ? undefined
        : `Debian: apt-get install ${clangPackages} libc++-dev-wasm32`),
    build: async () => [
      [
        ...['clang++', '--target=wasm32-wasi', '-O2', '-fno-exceptions', '-Wl,--strip-all'],
        ...['-o', 'task.wasm', 'task.cpp'],
      ],
    ],
  },
  {
    name: 'rust',
    template: 'rust',
    missing: async () =>
      (await findRustc()) === undefined ? 'Debian: apt-get install rustc libstd-rust-dev-wasm32' : undefined,
    build: async () => [['make', '-s', `RUSTC=${await findRustc()}`]],
  },
  {
    name: 'assemblyscript',
    template: 'assemblyscript',
    missing: async () => ((await works('npm', 'ping', '--silent')) ? undefined : 'the registry of npm does not answer'),
    build: async () => [
      ['npm', 'install', '--silent', '--no-audit', '--no-fund'],
      ['npm', 'run', '--silent', 'build'],
    ],
  },
];
