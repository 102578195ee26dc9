import { MeshError } from '../../contract/index.ts';
import type { StageCall } from './flow.ts';

/** The function of a stage, by what is to be bundled. */
export type TaskFunctionSource =
  /** The text of a function expression, and what to call it in messages. */
  | { readonly kind: 'text'; readonly name: string; readonly text: string }
  /** A module by its path or `file:` URL, and which of its exports it is. */
  | { readonly kind: 'module'; readonly path: string | URL; readonly exportName: string };

/** How the outputs of the stages needed look: `list` is in pieces that belong together, `value` is as it is. */
export interface NeedShape {
  /** The name of the stage. */
  readonly stage: string;
  readonly isPieces: boolean;
}

/** Throws `MESH_TASK_CODE_INVALID` for a function that has no source of its own. */
export function functionSourceOf(code: NonNullable<StageCall['code']>, stage: string): TaskFunctionSource {
  if (typeof code !== 'function') return moduleSourceOf(code);
  const text = Function.prototype.toString.call(code);
  const refuse = (message: string): never => {
    throw new MeshError('MESH_TASK_CODE_INVALID', `the function of stage "${stage}" ${message}`, {
      where: code.name || stage,
      mend: 'write it as a function of its own, `(record) => ...`, or in a module whose path you hand over',
    });
  };
  if (/\{\s*\[native code\]\s*\}$/.test(text)) refuse('is built in or bound: it has no source that could travel');
  if (/^class\b/.test(text)) refuse('is a class');
  return { kind: 'text', name: code.name || stage, text: asExpression(text) };
}

function moduleSourceOf(code: string | URL): TaskFunctionSource {
  const [, path, exportName] = /^(.*?)(?:#([\p{ID_Start}$_][\p{ID_Continue}$]*))?$/su.exec(String(code))!;
  return {
    kind: 'module',
    path: typeof code === 'string' ? path! : new URL(path!),
    exportName: exportName ?? 'default',
  };
}

/** A method of an object (`{ f(x) {} }`) is no expression alone: then it is taken out of an object again. */
function asExpression(text: string): string {
  const isFunction = /^(async\b\s*)?(function\b|\(|[\p{ID_Start}$_][\p{ID_Continue}$]*\s*=>)/u.test(text);
  return isFunction ? text : `Object.values({ ${text} })[0]`;
}

const readers: Readonly<Record<StageCall['kind'], string>> = {
  map: `export default async function (task) {
  const values = [];
  const all = task.input.length;
  for await (const record of task.input) {
    const value = await code(record, task);
    values.push(value === undefined ? null : value);
    task.progress(values.length / all);
  }
  return values;
}`,
  chunks: 'export default function (task) {\n  return code(task);\n}',
  reduce: `export default async function (task) {
  const values = needsOf(task).from;
  let at = 0;
  let result = initial === undefined ? undefined : initial.value;
  if (initial === undefined) {
    if (values.length === 0) throw new TypeError('reduce of an empty list with no initial value');
    result = values[at++];
  }
  for (; at < values.length; at++) {
    result = await code(result, values[at], at);
    task.progress((at + 1) / values.length);
  }
  return result;
}`,
  task: 'export default function (task) {\n  return code({ ...task, needs: needsOf(task) });\n}',
  copy: 'export default function (task) {\n  return needsOf(task).from;\n}',
};

/** The module of a stage, around its function: `code` is to be defined before it. */
export function runnerOf(call: StageCall, needs: Readonly<Record<string, NeedShape>>): string {
  const members = Object.entries(needs).map(([name, { stage, isPieces }]) => {
    const read = `task.needs[${JSON.stringify(stage)}]`;
    return `  get ${JSON.stringify(name)}() { return ${read}${isPieces ? '.flat()' : ''}; },\n`;
  });
  const initial = call.initial === undefined ? 'undefined' : JSON.stringify({ value: call.initial.value });
  const helpers = [
    ...(readers[call.kind].includes('needsOf') ? [`const needsOf = (task) => ({\n${members.join('')}});\n`] : []),
    ...(call.kind === 'reduce' ? [`const initial = ${initial};\n`] : []),
  ];
  return `${helpers.join('')}${readers[call.kind]}\n`;
}
