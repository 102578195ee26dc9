import { programFiles, programReadme } from './program.ts';
import type { Template } from './template.ts';

export const c: Template = {
  summary: 'C, compiled to WebAssembly by clang',
  steps: ['make', 'foremesh run'],
  files: (name) => ({
    'task.c': `/* Runs on some node, with some lines of the input on standard input: counts their words. */
#include <ctype.h>
#include <stdio.h>

int main(void) {
  long words = 0;
  int inside = 0;
  for (int c = getchar(); c != EOF; c = getchar()) {
    if (isspace(c)) inside = 0;
    else if (!inside) {
      inside = 1;
      words++;
    }
  }
  /* Standard output is what the task gives, standard error its log. */
  printf("%ld\\n", words);
  return 0;
}
`,
    Makefile: `# Debian: apt-get install clang lld wasi-libc libclang-rt-dev-wasm32. Elsewhere: the wasi-sdk, and CC=.../bin/clang
CC = clang

task.wasm: task.c
\t$(CC) --target=wasm32-wasi -O2 -Wl,--strip-all -o $@ $<
`,
    ...programFiles(name),
    'README.md': programReadme(name, 'task.c', 'make'),
  }),
};
