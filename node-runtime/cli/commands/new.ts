import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { limits, MeshError } from '../../contract/index.ts';
import { type CommandContext, type CommandModule, Session } from '../context.ts';
import { usageError } from '../report.ts';
import { nearest, printable } from '../text.ts';

interface NewOptions {
  readonly lang: string;
}

const examples = `
Examples:
  foremesh new words                        a task in TypeScript
  foremesh new words --lang c               a program in C, compiled to WebAssembly
  foremesh new words --lang assemblyscript

Nothing is overwritten: there must be nothing of that name yet.
`;

export const newCommand: CommandModule = {
  name: 'new',
  summary: 'make a folder with a job that runs: code, job.yaml, a small input',
  arguments: [['<name>', 'of the folder and the job']],
  register(command: Command, context: CommandContext) {
    command
      .option('-l, --lang <language>', 'typescript, assemblyscript, c or rust', 'typescript')
      .addHelpText('after', examples)
      .action((name: string, options: NewOptions) => makeNew(new Session(command, context), name, options));
  },
};

async function makeNew(session: Session, name: string, { lang }: NewOptions): Promise<void> {
  checkName(name);
  // Loaded here: a device needs none of it.
  const { schemaFile, templates } = await import('../templates/index.ts');
  const template = Object.hasOwn(templates, lang) ? templates[lang]! : undefined;
  if (template === undefined) throw unknownLanguage(lang, Object.keys(templates));
  const folder = join(session.io.directory, name);
  const files = { ...template.files(name), [schemaFile]: await readSchema(schemaFile) };
  try {
    // Fails where there is anything of that name: nothing of somebody else's is touched.
    await mkdir(folder);
    for (const [file, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, file)), { recursive: true });
      await writeFile(join(folder, file), text, { flag: 'wx' });
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw usageError(`there is something called ${name} here already`, 'choose another name');
    throw new MeshError('MESH_STORAGE_FAILED', `cannot make ${name}: ${message}`, { where: folder, cause: error });
  }
  const steps = [`cd ${name}`, ...template.steps];
  if (session.json) session.printJson({ folder, files: Object.keys(files), steps });
  else session.print(`made ${name}: ${Object.keys(files).join(', ')}`, 'next:', ...steps.map((step) => `  ${step}`));
}

/** From the package: beside the bundle's files, or above those that were compiled or are the source. */
async function readSchema(file: string): Promise<string> {
  for (const folder of ['./', '../', '../../', '../../../']) {
    try {
      return await readFile(new URL(folder + file, import.meta.url), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  throw new MeshError('MESH_NOT_INSTALLED', `${file} is missing from @foremesh/node-runtime`, {
    mend: 'npm install @foremesh/node-runtime',
  });
}

function checkName(name: string): void {
  const isSound = /^[A-Za-z0-9][A-Za-z0-9_-]*$/.test(name) && name.length <= limits.stageCharacters;
  if (isSound) return;
  throw usageError(
    `"${printable(name)}" cannot be the name of a job and its folder`,
    `use 1 to ${limits.stageCharacters} of A-Z a-z 0-9 _ -, a letter or digit first; the folder is made where you are`,
  );
}

function unknownLanguage(lang: string, languages: readonly string[]): MeshError {
  const meant = nearest(lang, languages);
  return usageError(
    `there is no template for "${printable(lang)}"${meant === undefined ? '' : `; did you mean "${meant}"?`}`,
    `--lang takes ${languages.join(', ')}`,
  );
}
