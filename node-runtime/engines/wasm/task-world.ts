import { tarFiles } from '@foremesh/partitioner';
import { foldersOf, isPathInTree } from '../../contract/index.ts';
import type { SandboxTask } from '../sandbox-engine.ts';
import { FileContent, FileTree } from './file-tree.ts';
import type { WasiWorld } from './wasi-host.ts';

const programName = 'task';
const open = Buffer.from('[');
const close = Buffer.from(']');
const lineFeed = Buffer.from('\n');

type Slot = { readonly encoding: string; readonly bytes: Uint8Array };

/**
 * What a task of engine `wasm` finds: its records, the one output that it needs, or the parts that it merges on standard input; the
 * files of its stage, outputs needed and parts as files; parameters in the environment. `docs/task-authoring.md` has it for authors.
 */
export function worldOf(task: SandboxTask): WasiWorld {
  const { command, shape, slots, parameters, identity } = task;
  const files: [string, FileContent][] = (command?.files ?? []).map(({ path, bytes }) => [
    path,
    new FileContent([bytes]),
  ]);
  let stdin = new FileContent([]);
  if (shape.by !== undefined) {
    const bytes = slots[0] ?? new Uint8Array(0);
    stdin = new FileContent(shape.by === 'items' ? [open, bytes, close] : [bytes]);
    if (shape.by === 'files') files.push(...inputFiles(bytes));
  } else if (shape.parts !== undefined) {
    const parts = shape.parts.map((encoding, index) => ({ encoding, bytes: slots[index]! }));
    stdin = joined(parts);
    for (const [index, { bytes }] of parts.entries()) files.push([`parts/${index}`, new FileContent([bytes])]);
  } else if (shape.needs !== undefined) {
    const entries = Object.entries(shape.needs);
    let slot = 0;
    for (const [stage, encodings] of entries) {
      const isList = typeof encodings !== 'string';
      const outputs = (isList ? encodings : [encodings]).map((encoding) => ({ encoding, bytes: slots[slot++]! }));
      if (entries.length === 1) stdin = joined(outputs);
      if (!isList) files.push([`needs/${stage}`, new FileContent([outputs[0]!.bytes])]);
      else
        for (const [index, { bytes }] of outputs.entries())
          files.push([`needs/${stage}/${index}`, new FileContent([bytes])]);
    }
  }
  return {
    arguments: [programName, ...(command?.arguments ?? [])],
    environment: {
      ...command?.environment,
      FOREMESH_TASK: identity,
      ...(shape.by === 'bytes' ? { FOREMESH_START: String(shape.start ?? 0) } : {}),
      ...(parameters === undefined ? {} : { FOREMESH_PARAMETERS: JSON.stringify(parameters) }),
    },
    stdin,
    tree: new FileTree(files),
    identity,
  };
}

/**
 * Files of the input, as `input/NAME`. Standard input has them too, as an archive: there stands also what cannot have its name in a
 * tree (`../x`, one name twice, a file that is a folder of others).
 */
function inputFiles(bytes: Uint8Array): [string, FileContent][] {
  const found = new Map<string, FileContent>();
  for (const { name, start, sizeBytes } of tarFiles(bytes)) {
    const path = `input/${name.replace(/^\.\//, '')}`;
    if (isPathInTree(path)) found.set(path, new FileContent([bytes.subarray(start, start + sizeBytes)]));
  }
  const folders = foldersOf([...found.keys()]);
  return [...found].filter(([path]) => !folders.has(path));
}

/** One behind the other; JSON with an end of line behind each, so that they can be told apart. */
function joined(outputs: readonly Slot[]): FileContent {
  return new FileContent(outputs.flatMap(({ encoding, bytes }) => (encoding === 'json' ? [bytes, lineFeed] : [bytes])));
}
