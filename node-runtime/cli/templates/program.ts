import { exampleInput, schemaComment } from './template.ts';

const merge = `/** Runs once, with what all tasks printed: adds it up. */
export default ({ parts }) => parts.reduce((sum, text) => sum + Number(text), 0);
`;

/** What templates of engine `wasm` share. */
export const programFiles = (name: string): Readonly<Record<string, string>> => ({
  'merge.js': merge,
  'job.yaml': `${schemaComment}name: ${name}
stages:
  words:
    code: task.wasm
    input: input.txt
    split: lines
    merge: merge.js
`,
  'input.txt': exampleInput,
});

export const programReadme = (name: string, source: string, build: string) => `# ${name}

Counts words on a mesh. \`${source}\` becomes \`task.wasm\`, a program that runs on any node; it gets some lines of the input on
standard input, and what it prints is its output. \`merge.js\` adds up what the tasks printed; \`job.yaml\` says so.

    ${build}
    foremesh run                                    # print the result
    foremesh run --input OTHER.txt --out words.json # another input; the result in a file

Next:

- arguments, environment and files for the program: \`arguments:\`, \`environment:\` and \`files:\` in \`job.yaml\`
- the same program with other parameters: \`foremesh run --param size=1..10\`; they are in \`FOREMESH_PARAMETERS\`, as JSON
- what a task waits for: \`foremesh why words-0\`; what it logs: \`foremesh logs JOB\`
`;
