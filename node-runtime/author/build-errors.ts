import { existsSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { isAbsolute, relative, resolve } from 'node:path';
import { MeshError } from '@foremesh/node-runtime/contract';
import type { BuildFailure, Message } from 'esbuild';

interface Place {
  readonly file: string;
  readonly line: number;
  /** In bytes of UTF-8, from 0. */
  readonly column: number;
  readonly lineText?: string;
}

/** `map.ts:3:14` as the person who runs the command would write it, line and column from 1. */
export function whereOf(place: Place | undefined, folder: string, file = ''): string {
  const path = resolve(folder, place?.file ?? file);
  const short = relative(process.cwd(), path);
  const shown = short === '' || short.startsWith('..') || isAbsolute(short) ? path : short;
  if (place === undefined) return shown;
  const before = Buffer.from(place.lineText ?? '').subarray(0, place.column);
  const column = place.lineText === undefined ? place.column : before.toString().length;
  return `${shown}:${place.line}:${column + 1}`;
}

/** The first error of a build in our words; how many more there are. */
export function explainFailure(failure: BuildFailure, entry: string, folder: string): MeshError {
  const first = failure.errors[0]!;
  if (first.location === null && !existsSync(entry)) {
    return new MeshError('MESH_TASK_CODE_INVALID', 'there is no such file', {
      where: whereOf(undefined, folder, entry),
    });
  }
  const { message, mend } = explain(first);
  const more = failure.errors.length - 1;
  return new MeshError('MESH_TASK_CODE_INVALID', more === 0 ? message : `${message} (and ${more} more)`, {
    where: whereOf(first.location ?? undefined, folder, entry),
    cause: failure,
    ...(mend === undefined ? {} : { mend }),
  });
}

function explain({ text, notes }: Message): { readonly message: string; readonly mend?: string } {
  const missing = /^Could not resolve "(.+)"$/.exec(text)?.[1];
  if (missing !== undefined) return explainMissing(missing);
  const [message = text, mend] = text.split('\nmend: ');
  const note = notes.map((each) => each.text).find((each) => each !== '');
  if (mend !== undefined) return { message, mend };
  return note === undefined ? { message } : { message, mend: note };
}

function explainMissing(path: string): { readonly message: string; readonly mend: string } {
  if (isBuiltin(path)) {
    return {
      message: `"${path}" is a module of Node.js, and a task has no Node.js, no files and no network`,
      mend: 'read what the task needs from `task.input` or `task.parameters`, or import a package that needs no Node.js',
    };
  }
  if (path.startsWith('.') || isAbsolute(path)) {
    return { message: `there is no file "${path}"`, mend: 'the path is from the folder of the file that imports it' };
  }
  const packageName = path
    .split('/')
    .slice(0, path.startsWith('@') ? 2 : 1)
    .join('/');
  return { message: `the package "${packageName}" is not installed`, mend: `npm install ${packageName}` };
}
