import * as z from 'zod';
import { limits } from '../limits.ts';
import { bytesOf, textOf } from '../text.ts';
import { dataReference, encodingOfOutput } from './shared.ts';

/** What the system of a program ends a string with. */
const withoutNul = z.string().refine((text) => !text.includes('\0'), { error: 'must not hold a NUL character' });

const sizeOf = (strings: readonly string[]): number => strings.reduce((sum, text) => sum + bytesOf(text).length + 1, 0);

/** What a program gets behind its name. */
export const commandArguments = z
  .array(withoutNul)
  .max(limits.argumentsPerStage)
  .refine((strings) => sizeOf(strings) <= limits.argumentsBytes, {
    error: `argumentsBytes is ${limits.argumentsBytes}`,
  });

const variableName = z
  .string()
  .refine((name) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !name.startsWith('FOREMESH_'), {
    error: 'must be letters, digits and _, and not begin with FOREMESH_, which is ours',
  });
export const commandEnvironment = z
  .record(variableName, withoutNul)
  .refine((variables) => Object.keys(variables).length <= limits.environmentVariables, {
    error: `environmentVariables is ${limits.environmentVariables}`,
  })
  .refine((variables) => sizeOf(Object.entries(variables).map((each) => each.join('='))) <= limits.environmentBytes, {
    error: `environmentBytes is ${limits.environmentBytes}`,
  });

/** A file's path from the root of what a program sees, without a slash before it: "model.bin", "words/en.txt". */
export const commandPath = z.string().refine((path) => isPathInTree(path) && !/^(needs|parts|input)(\/|$)/.test(path), {
  error: `must be a path from the root such as "model.bin" or "words/en.txt", at most ${limits.filePathCharacters} characters, and not in "needs", "parts" or "input", which are ours`,
});

/** Whether a program can have a file there. */
export function isPathInTree(path: string): boolean {
  // Half of a surrogate pair has no UTF-8.
  if (path.length > limits.filePathCharacters || textOf(bytesOf(path)) !== path) return false;
  const names = path.split('/');
  return names.every(
    (name) => name !== '' && name !== '.' && name !== '..' && !name.includes('\0') && !name.includes('\\'),
  );
}

/** The path of a file that is also used as a folder; undefined when there is none. */
export function clashOfPaths(paths: readonly string[]): string | undefined {
  const folders = foldersOf(paths);
  return paths.find((path) => folders.has(path));
}

/** Every folder that a path lies in. */
export function foldersOf(paths: readonly string[]): Set<string> {
  return new Set(paths.flatMap((path) => path.split('/').map((_, index, names) => names.slice(0, index).join('/'))));
}

/** What a stage says to its programs (engine `wasm`), its files by reference. */
export const command = z.object({
  arguments: commandArguments,
  environment: commandEnvironment,
  /** What standard output is. */
  output: encodingOfOutput,
  files: z.record(commandPath, dataReference),
});
export type Command = z.infer<typeof command>;
