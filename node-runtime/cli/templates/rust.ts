import { programFiles, programReadme } from './program.ts';
import type { Template } from './template.ts';

export const rust: Template = {
  summary: 'Rust, compiled to WebAssembly',
  steps: ['make', 'foremesh run'],
  files: (name) => ({
    'task.rs': `// Runs on some node, with some lines of the input on standard input: counts their words.
use std::io::{self, BufRead};

fn main() -> io::Result<()> {
    let mut words = 0;
    for line in io::stdin().lock().lines() {
        words += line?.split_whitespace().count();
    }
    // Standard output is what the task gives, standard error its log.
    println!("{words}");
    Ok(())
}
`,
    Makefile: `# rustup target add wasm32-wasip1. Debian: apt-get install rustc libstd-rust-dev-wasm32
RUSTC = rustc
# Called wasm32-wasi before Rust 1.78.
TARGET := $(firstword $(filter wasm32-wasip1 wasm32-wasi,$(shell $(RUSTC) --print target-list)))

task.wasm: task.rs
\t$(RUSTC) --target $(TARGET) -O -C strip=symbols -C panic=abort -o $@ $<
`,
    ...programFiles(name),
    'README.md': programReadme(name, 'task.rs', 'make'),
  }),
};
