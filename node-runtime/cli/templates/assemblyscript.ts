import { programFiles, programReadme } from './program.ts';
import type { Template } from './template.ts';

export const assemblyscript: Template = {
  summary: 'AssemblyScript, compiled to WebAssembly',
  steps: ['npm install', 'npm run build', 'foremesh run'],
  files: (name) => ({
    'assembly/task.ts': `// Runs on some node, with some lines of the input on standard input: counts their words.
import { fd_read, proc_exit } from '@assemblyscript/wasi-shim/assembly/bindings/wasi_snapshot_preview1';

const block = new StaticArray<u8>(65536);
const list = changetype<usize>(new StaticArray<u32>(2));
const done = changetype<usize>(new StaticArray<u32>(1));

let words: i32 = 0;
let inside = false;
for (;;) {
  store<u32>(list, <u32>changetype<usize>(block));
  store<u32>(list, 65536, 4);
  if (fd_read(0, list, 1, done) != 0) proc_exit(1);
  const size = load<u32>(done);
  if (size == 0) break;
  for (let i: u32 = 0; i < size; i++) {
    const isSpace = unchecked(block[i]) <= 32;
    if (!isSpace && inside == false) words++;
    inside = !isSpace;
  }
}
// Standard output is what the task gives.
console.log(words.toString());
`,
    'package.json': `${JSON.stringify(
      {
        name: name.toLowerCase(),
        private: true,
        type: 'module',
        scripts: {
          build:
            'asc assembly/task.ts --config node_modules/@assemblyscript/wasi-shim/asconfig.json --exportStart _start -O --runtime stub -o task.wasm',
        },
        devDependencies: { '@assemblyscript/wasi-shim': '0.1.0', assemblyscript: '0.28.20' },
      },
      null,
      2,
    )}\n`,
    ...programFiles(name),
    'README.md': programReadme(name, 'assembly/task.ts', 'npm install && npm run build'),
  }),
};
