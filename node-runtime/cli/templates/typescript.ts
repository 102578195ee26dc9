import { exampleInput, schemaComment, type Template } from './template.ts';

export const typescript: Template = {
  summary: 'TypeScript or JavaScript, with packages of npm',
  steps: ['foremesh run'],
  files: (name) => ({
    'task.ts': `import type { Task } from '@foremesh/node-runtime/task';

/** Runs on some node, on some lines of the input: counts their words. */
export default async function task({ input, progress }: Task): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  let done = 0;
  for await (const line of input) {
    for (const word of line.split(/\\W+/)) if (word !== '') counts[word] = (counts[word] ?? 0) + 1;
    done += 1;
    progress(done / input.length);
  }
  return counts;
}
`,
    'merge.ts': `import type { Task } from '@foremesh/node-runtime/task';

/** Runs once, with what all tasks gave: adds it up, the most frequent word first. */
export default function merge({ parts }: Task): Record<string, number> {
  const all: Record<string, number> = {};
  for (const counts of parts as Record<string, number>[]) {
    for (const [word, count] of Object.entries(counts)) all[word] = (all[word] ?? 0) + count;
  }
  return Object.fromEntries(Object.entries(all).sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)));
}
`,
    'job.yaml': `${schemaComment}name: ${name}
stages:
  words:
    code: task.ts
    input: input.txt
    split: lines
    merge: merge.ts
`,
    'input.txt': exampleInput,
    'README.md': `# ${name}

Counts words on a mesh. \`task.ts\` runs on some lines of the input, as often as the mesh sees fit; \`merge.ts\` adds up what
the tasks gave; \`job.yaml\` says so.

    foremesh run                                    # print the result
    foremesh run --input OTHER.txt --out words.json # another input; the result in a file

Next:

- one file for each task: \`split: files\` and \`input: ["photos/*.jpg"]\` in \`job.yaml\`
- the same task with other parameters: \`foremesh run --param size=1..10\`, or a \`matrix:\` in \`job.yaml\`
- what a task waits for: \`foremesh why words-0\`; what it logs: \`foremesh logs JOB\`

Types for your editor come with \`npm install @foremesh/node-runtime\`; a job needs none.
`,
  }),
};
